import { errors } from "../core/errors.ts";
import type { Setting, SettingTable } from "../core/config/setting.ts";
import { nearest } from "../core/nearest.ts";
import { kebab, spellings } from "./names.ts";

/** A flag's value, and the flag as it was typed: "--lora_r". */
export interface FlagValue {
  readonly value: unknown;
  readonly flag: string;
  /** The earlier flag of the same setting that it overrides, as it was typed. */
  readonly overrides?: string;
}

/** A command line, split into positionals and flags. */
export interface ParsedArgs {
  readonly positionals: readonly string[];
  /** The given flags, by their setting's key, in the order in which they were last given. */
  readonly given: ReadonlyMap<string, FlagValue>;
}

/** How a command line is read. */
export interface ParseOptions {
  /** Whether a flag may be given again, so that the last one counts. */
  readonly repeats?: boolean;
  /** Settings of the table that are not suggested for an unknown flag. */
  readonly unsuggested?: SettingTable;
}

/** Flags of one letter, and the settings that they stand for. */
export const shortFlags: ReadonlyMap<string, string> = new Map([
  ["o", "out"],
  ["q", "quiet"],
]);

/**
 * Reads a command line against a table of settings: `--name value`, `--name=value`, `--switch`,
 * `--no-switch`, `-o value`, names in kebab-case, snake_case or camelCase. Throws E_FLAG for a flag
 * that the table doesn't have, that is given twice unless its values are joined or `repeats` lets the last one count, or
 * whose value is missing or wrong.
 *
 * citty's own parser is not strict: it accepts unknown flags and takes their values for
 * positionals, so that a mistyped `--lrr 5` would train with the default, and it has no numbers and
 * no ranges.
 */
export function parseArgs(
  args: readonly string[],
  table: SettingTable,
  { repeats = false, unsuggested = {} }: ParseOptions = {},
): ParsedArgs {
  const names = spellings(table);
  const positionals: string[] = [];
  const given = new Map<string, FlagValue>();
  const rest = [...args];
  for (let token = rest.shift(); token !== undefined; token = rest.shift()) {
    if (token === "--") {
      positionals.push(...rest);
      break;
    }
    if (!isFlag(token)) {
      positionals.push(token);
      continue;
    }
    const [flag, inline] = splitOnce(token, "=");
    const { key, negated } = find(flag, names, table, unsuggested);
    const earlier = given.get(key);
    const setting = table[key]!;
    if (earlier && !repeats && !setting.isRepeated) throw errors.flag(bare(flag), "is given twice");
    const raw = negated
      ? negation(flag, setting, inline)
      : (inline ?? takeValue(flag, setting, rest));
    const value = setting.read(raw);
    if (value === undefined) {
      const rule = `must be ${setting.want}, got ${JSON.stringify(raw)}`;
      const guess = setting.suggest?.(raw);
      throw errors.flag(bare(flag), rule, guess === undefined ? guess : `did you mean ${guess}?`);
    }
    given.delete(key); // so that the order is that of the last ones
    const isJoined = earlier !== undefined && setting.isRepeated === true;
    if (isJoined) given.set(key, { value: [earlier.value, value].flat(), flag });
    else given.set(key, { value, flag, ...(earlier && { overrides: earlier.flag }) });
  }
  return { positionals, given };
}

// --- internal ---

/** Not "-", which stands for stdin, and not a negative number. */
const isFlag = (token: string) => /^--?[A-Za-z]/.test(token);

const bare = (flag: string) => flag.replace(/^--?/, "");

function splitOnce(token: string, separator: string): [string, string | undefined] {
  const at = token.indexOf(separator);
  return at < 0 ? [token, undefined] : [token.slice(0, at), token.slice(at + 1)];
}

function find(
  flag: string,
  names: ReadonlyMap<string, string>,
  table: SettingTable,
  unsuggested: SettingTable,
) {
  const name = kebab(bare(flag));
  const key = flag.startsWith("--") ? names.get(name) : names.get(shortFlags.get(name) ?? "");
  if (key !== undefined) return { key, negated: false };
  const positive = name.startsWith("no-") ? names.get(name.slice(3)) : undefined;
  if (positive !== undefined) return { key: positive, negated: true };
  if (name.length === 1) throw errors.unknownFlag(name, undefined);
  const suggested = [...names].filter(([, k]) => !Object.hasOwn(unsuggested, k));
  const words = suggested.flatMap(([n, k]) =>
    table[k]?.hint === undefined ? [n, `no-${n}`] : [n],
  );
  throw errors.unknownFlag(bare(flag), nearest(name, words));
}

function negation(flag: string, { hint }: Setting<unknown>, inline: string | undefined): string {
  const name = bare(flag);
  if (hint !== undefined) throw errors.flag(name.slice(3), `takes a value: there is no --${name}`);
  if (inline !== undefined) throw errors.flag(name, `takes no value, got "${inline}"`);
  return "false";
}

/** Takes a flag's value from the following words; a switch takes only a literal true or false. */
function takeValue(flag: string, { hint, want }: Setting<unknown>, rest: string[]): string {
  const next = rest[0];
  if (hint === undefined) {
    return next !== undefined && /^(true|false)$/i.test(next) ? (rest.shift() ?? next) : "true";
  }
  if (next === undefined || isFlag(next) || next === "--") {
    throw errors.flag(bare(flag), `needs a value: ${want}`);
  }
  rest.shift();
  return next;
}
