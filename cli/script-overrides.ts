import { methods } from "../core/config/method.ts";
import { isSettingName, isUsedByMethod } from "../core/config/run-config.ts";
import { errors } from "../core/errors.ts";
import type { FlagValue } from "./args.ts";

type FlagMap = ReadonlyMap<string, FlagValue>;

/**
 * Whether a command line is, or contains, one of the scripts': it spells a flag with an underscore.
 * Of such a line's repeated or alternative flags the last one counts, so that a flag can be
 * appended to override it.
 */
export function isPasted(words: Iterable<string>): boolean {
  return [...words].some((word) => /^--[A-Za-z0-9]+_/.test(word));
}

/**
 * The flag, as it was typed, that overrides a setting's value from a script's flag: the setting's
 * own, given after it. Undefined without one, or where both say the same. Throws E_CONFIG where they
 * exclude each other.
 */
export function overriddenBy(
  given: FlagMap,
  setting: string,
  script: FlagValue & { readonly key: string },
): string | undefined {
  const own = setting === script.key ? undefined : given.get(setting);
  if (own === undefined || own.value === script.value) return undefined;
  const order = [...given.keys()];
  const isLater = order.indexOf(setting) > order.indexOf(script.key);
  if (isLater && isPasted(flagsOf(given))) return own.flag;
  throw errors.alternatives(own.flag, script.flag);
}

/** Settings of a pasted line that later flags stand instead of. */
export interface Overridden {
  readonly keys: readonly string[];
  readonly notes: readonly string[];
}

/** Groups of settings of which the last one given counts. */
const groups = [
  ["targetRank", "targetTotalRank", "budget"],
  ["warmupSteps", "warmupRatio"],
  ["epochs", "maxSteps"],
];

/**
 * The flags of a pasted line that the same or an alternative setting's later flag overrides;
 * without `except`, a setting that is overridden already.
 */
export function overriddenSettings(given: FlagMap, except: string | undefined): Overridden {
  if (!isPasted(flagsOf(given))) return { keys: [], notes: [] };
  const repeated = [...given.values()].flatMap(({ flag, overrides }) =>
    overrides === undefined ? [] : [overrides === flag ? flag : `${overrides} by ${flag}`],
  );
  const found = groups.flatMap((group) => {
    const present = [...given].filter(
      ([key, { value }]) => group.includes(key) && key !== except && value !== null,
    );
    const last = present.pop();
    return present.map(([key, { flag }]) => ({ key, note: `${flag} by ${last?.[1].flag}` }));
  });
  return {
    keys: found.map(({ key }) => key),
    notes: [...repeated, ...found.map(({ note }) => note)],
  };
}

/** The flags of a pasted line that a `--method` appended to it has no use for. */
export function unusedSettings(given: FlagMap): Overridden {
  const value = methods.find((method) => method === given.get("method")?.value);
  if (value === undefined || !isPasted(flagsOf(given))) return { keys: [], notes: [] };
  const order = [...given.keys()];
  const before = order.slice(0, order.indexOf("method"));
  const keys = before.filter((key) => isSettingName(key) && !isUsedByMethod(key, value));
  const flags = keys.map((key) => given.get(key)?.flag).join(", ");
  return { keys, notes: keys.length === 0 ? [] : [`not used by method ${value}: ${flags}`] };
}

// --- internal ---

const flagsOf = (given: FlagMap) => [...given.values()].map(({ flag }) => flag);
