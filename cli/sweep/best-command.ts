import type { SettingTable } from "../../core/config/setting.ts";
import type { FlagValue } from "../args.ts";
import { flagOf } from "../names.ts";
import { runSettings } from "../run-settings.ts";
import type { Choice } from "./choices.ts";

/**
 * The words of the `run` that trains a choice on all training rows: the recipe or file, the flags
 * that every configuration shares, and those of the choice.
 */
export function bestCommand(
  name: string | undefined,
  fixed: ReadonlyMap<string, FlagValue>,
  { values }: Choice,
): readonly string[] {
  const table: SettingTable = runSettings;
  const flags = [...fixed].flatMap(([key, { value }]) => {
    const setting = table[key];
    if (setting === undefined || key === "out") return []; // sweep's own
    const flag = `--${flagOf(key, setting)}`;
    if (Array.isArray(value) && setting.isRepeated !== true) return words(flag, value.join(","));
    return [value].flat().flatMap((one) => words(flag, String(one)));
  });
  const chosen = [...values].flatMap(([key, { text }]) =>
    words(`--${flagOf(key, runSettings[key])}`, text),
  );
  return ["run", ...(name === undefined ? [] : [name]), ...flags, ...chosen];
}

// --- internal ---

/** A value that starts with a dash would be taken for a flag. */
const words = (flag: string, value: string) =>
  value.startsWith("-") ? [`${flag}=${value}`] : [flag, value];
