import type { Method } from "./method.ts";
import type { SpanTaskName, TaskKind } from "./task-names.ts";

/**
 * One option of a command: how it is parsed, validated and documented. Flags, help and
 * configuration file keys are all generated from it.
 */
export interface Setting<T> {
  /** The value's placeholder in help, such as "N" or "DIR"; undefined for a switch. */
  readonly hint: string | undefined;
  /** Every value that a choice accepts; undefined for other settings. */
  readonly choices?: readonly string[];
  /** Help text. */
  readonly about: string;
  /** The default; null if it is determined later, as `about` explains. */
  readonly fallback: T;
  /** The expected value, completing "must be …". */
  readonly want: string;
  /** The valid value that an invalid one may stand for; undefined if there is none. */
  readonly suggest?: (raw: string) => string | undefined;
  /** The flag in kebab-case; undefined: the setting's own name. */
  readonly flag?: string | undefined;
  /** Whether its flag may be given several times: the values, all lists, are joined. */
  readonly isRepeated?: true | undefined;
  /** Aliases in kebab-case: names from the reference, transformers and PEFT. */
  readonly aliases: readonly string[];
  /** The methods that use it; undefined means all. */
  readonly methods: readonly Method[] | undefined;
  /** The task kinds or task names that use it; undefined means all. */
  readonly kinds: readonly (TaskKind | SpanTaskName)[] | undefined;
  /** Parses a flag's text or a file's value; undefined if it is invalid. */
  read(raw: unknown): T | undefined;
}

/** Settings by name. */
export type SettingTable = Readonly<Record<string, Setting<unknown>>>;

/** The types of a settings table's values, by name. */
export type ValuesOf<Table extends SettingTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};

/** A percentage of all steps, such as "10%". */
export type Percent = `${number}%`;

/** Optional properties of a setting. */
interface Extras {
  readonly aliases?: readonly string[];
  readonly methods?: readonly Method[];
  readonly kinds?: readonly (TaskKind | SpanTaskName)[];
  readonly hint?: string;
  readonly flag?: string;
}

/** Bounds of a number: `min` and `max` are inclusive, `above` and `below` exclusive. */
interface Range {
  readonly min?: number | undefined;
  readonly above?: number | undefined;
  readonly max?: number | undefined;
  readonly below?: number | undefined;
  /** 0 disables the option, and may be spelled "none". */
  readonly off?: true | undefined;
}

/** A finite number in a range. */
export function real<D extends number | null>(
  fallback: D,
  about: string,
  rules?: Range & Extras,
): Setting<number | Extract<D, null>>;
export function real(
  fallback: number | null,
  about: string,
  { min, above, max, below, off, ...extras }: Range & Extras = {},
): Setting<number | null> {
  const range = { min, above, max, below, off };
  const want = `a number${rangeText(range)}`;
  return makeSetting({ fallback, about, want, hint: "X" }, extras, (raw) => numberIn(raw, range));
}

/** An integer in a range. */
export function integer<D extends number | null>(
  fallback: D,
  about: string,
  rules?: Range & Extras,
): Setting<number | Extract<D, null>>;
export function integer(
  fallback: number | null,
  about: string,
  { min, above, max, below, off, ...extras }: Range & Extras = {},
): Setting<number | null> {
  const range = { min, above, max, below, off };
  const want = `a whole number${rangeText(range)}`;
  return makeSetting({ fallback, about, want, hint: "N" }, extras, (raw) => {
    const value = numberIn(raw, range);
    return Number.isSafeInteger(value) ? value : undefined;
  });
}

/** One of several words; case, "-" and "_" are ignored. */
export function choice<const W extends string, D extends NoInfer<W> | null>(
  words: readonly W[],
  fallback: D,
  about: string,
  extras?: Extras,
): Setting<W | Extract<D, null>>;
export function choice<const W extends string>(
  words: readonly W[],
  fallback: W | null,
  about: string,
  extras: Extras = {},
): Setting<W | null> {
  const want = `one of ${words.join(", ")}`;
  const setting = makeSetting({ fallback, about, want, hint: words.join("|") }, extras, (raw) =>
    typeof raw === "string" ? words.find((word) => normalize(word) === normalize(raw)) : undefined,
  );
  return { ...setting, choices: words };
}

/** The name of an entry in a table, with help built from the entries' `about`; null by default. */
export function named(
  entries: Readonly<Record<string, { readonly about: string }>>,
  about: string,
  extras: Extras = {},
): Setting<string | null> {
  const each = Object.entries(entries).map(([name, entry]) => `${name}: ${entry.about}`);
  return choice(Object.keys(entries), null, `${about}. ${each.join("; ")}`, extras);
}

/** Non-empty text, such as a path or name; `pattern` and `want` restrict it. */
export function text<D extends string | null>(
  fallback: D,
  about: string,
  rules?: TextRule & Extras,
): Setting<string | Extract<D, null>>;
export function text(
  fallback: string | null,
  about: string,
  { pattern = /\S/, want = "text", ...extras }: TextRule & Extras = {},
): Setting<string | null> {
  return makeSetting({ fallback, about, want, hint: "TEXT" }, extras, (raw) => {
    const value = typeof raw === "number" ? String(raw) : raw;
    return typeof value === "string" && pattern.test(value) ? value : undefined;
  });
}

interface TextRule {
  readonly pattern?: RegExp;
  readonly want?: string;
}

/** Comma-separated words, or a list in a file; null by default. */
export function list(about: string, extras: Extras = {}): Setting<readonly string[] | null> {
  const want = "words separated by commas";
  return makeSetting<readonly string[] | null>(
    { fallback: null, about, want, hint: "A,B" },
    extras,
    (raw) => itemsIn(raw, (item) => (typeof item === "string" && item.trim()) || undefined),
  );
}

/** Names, one a flag, or a list in a file; null by default. A name may hold a comma. */
export function names(about: string, extras: Extras = {}): Setting<readonly string[] | null> {
  const isName = (item: unknown) => (typeof item === "string" && item.trim() ? item : undefined);
  const setting = makeSetting<readonly string[] | null>(
    { fallback: null, about, want: "a name, or a list of names", hint: "NAME" },
    extras,
    (raw) => itemsIn(typeof raw === "string" ? [raw] : raw, isName),
  );
  return { ...setting, isRepeated: true };
}

/** Distinct comma-separated integers >= 0, or a list in a file; null by default. */
export function integers(about: string, extras: Extras = {}): Setting<readonly number[] | null> {
  const want = "distinct whole numbers separated by commas";
  return makeSetting<readonly number[] | null>(
    { fallback: null, about, want, hint: "N,N" },
    extras,
    (raw) => {
      const numbers = itemsIn(raw, integerIn);
      return new Set(numbers).size === numbers?.length ? numbers : undefined;
    },
  );
}

/** A boolean flag without a value. */
export function toggle(fallback: boolean, about: string, extras: Extras = {}): Setting<boolean> {
  const setting = makeSetting(
    { fallback, about, want: "true or false", hint: "" },
    extras,
    (raw) => {
      if (typeof raw === "boolean") return raw;
      if (typeof raw !== "string") return undefined;
      return { true: true, false: false }[raw.toLowerCase()];
    },
  );
  return { ...setting, hint: undefined };
}

/** A number of optimizer steps, or a percentage of all steps: 600 or "10%". */
export function stepCount(
  fallback: number | Percent,
  about: string,
  extras: Extras = {},
): Setting<number | Percent> {
  return makeSetting(
    { fallback, about, want: 'a number of steps or a share below "100%"', hint: "N|N%" },
    extras,
    (raw) =>
      typeof raw === "string" && raw.trim().endsWith("%") ? percentIn(raw) : integerIn(raw),
  );
}

/** The same settings with null defaults, to be filled in from the run that trained a model. */
export function withoutDefaults<Table extends SettingTable>(table: Table): WithoutDefaults<Table> {
  const settings = Object.entries(table).map(([name, setting]) => [name, withoutDefault(setting)]);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- keys and types are the table's own
  return Object.fromEntries(settings) as WithoutDefaults<Table>;
}

type WithoutDefaults<Table extends SettingTable> = {
  readonly [Name in keyof Table]: Setting<ValuesOf<Table>[Name] | null>;
};

// --- internal ---

function withoutDefault<T>(setting: Setting<T>): Setting<T | null> {
  const { about } = setting;
  const described = about.includes("(default:")
    ? about.replace(/\(default: [^)]*\)/, "(default: the run's)")
    : `${about} (default: the run's)`;
  return { ...setting, fallback: null, about: described };
}

function makeSetting<T>(
  described: Pick<Setting<T>, "fallback" | "about" | "want" | "hint">,
  { aliases = [], methods, kinds, flag, hint = described.hint }: Extras,
  read: (raw: unknown) => T | undefined,
): Setting<T> {
  return { ...described, aliases, methods, kinds, flag, read, hint };
}

/** Numbers as in Python and TOML, "0." and "1e-3" included; not "", "0x10" or "Infinity". */
const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

function numberIn(raw: unknown, range: Range): number | undefined {
  if (range.off && typeof raw === "string" && raw.toLowerCase() === "none") return 0;
  const value = typeof raw === "string" && decimal.test(raw.trim()) ? Number(raw) : raw;
  if (typeof value !== "number" || !Number.isFinite(value)) return undefined;
  if (range.min !== undefined && value < range.min) return undefined;
  if (range.above !== undefined && value <= range.above) return undefined;
  if (range.max !== undefined && value > range.max) return undefined;
  if (range.below !== undefined && value >= range.below) return undefined;
  return value;
}

function rangeText({ min, above, max, below, off }: Range): string {
  const low = min !== undefined ? ` from ${min}` : above !== undefined ? ` above ${above}` : "";
  const high = max !== undefined ? ` to ${max}` : below !== undefined ? ` and below ${below}` : "";
  return low + high + (off ? ' (0 or "none": off)' : "");
}

function integerIn(raw: unknown): number | undefined {
  const value = numberIn(raw, { min: 0 });
  return Number.isSafeInteger(value) ? value : undefined;
}

function percentIn(raw: string): Percent | undefined {
  const value = numberIn(raw.trim().slice(0, -1), { min: 0, below: 100 });
  return value === undefined ? undefined : `${value}%`;
}

const normalize = (word: string) => word.toLowerCase().replaceAll(/[-_]/g, "");

/**
 * Parses the items of comma-separated text or a list; undefined if empty or any item is invalid.
 */
function itemsIn<T>(raw: unknown, read: (item: unknown) => T | undefined): T[] | undefined {
  const items: unknown = typeof raw === "string" ? raw.split(",") : raw;
  if (!Array.isArray(items) || items.length === 0) return undefined;
  const values = items.map(read).filter((value) => value !== undefined);
  return values.length === items.length ? values : undefined;
}
