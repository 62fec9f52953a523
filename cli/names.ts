import type { SettingTable } from "../core/config/setting.ts";

/**
 * The kebab-case spelling of a name: "targetRank", "target_rank" and "target-rank" are the same.
 */
export function kebab(name: string): string {
  return name.replaceAll(/[A-Z]/g, (c) => `-${c.toLowerCase()}`).replaceAll("_", "-");
}

/** The flag of a setting, without its dashes. */
export const flagOf = (key: string, { flag }: Pick<SettingTable[string], "flag">): string =>
  flag ?? kebab(key);

/** Maps every name of a table's settings, in kebab-case, to the setting's key. */
export function spellings<Key extends string>(
  table: Readonly<Record<Key, SettingTable[string]>>,
): Map<string, Key> {
  const names = new Map<string, Key>();
  for (const key in table) {
    const { flag, aliases } = table[key];
    for (const name of [kebab(key), ...(flag === undefined ? [] : [flag]), ...aliases])
      names.set(name, key);
  }
  return names;
}
