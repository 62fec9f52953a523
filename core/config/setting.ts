import type { Method } from "./method.ts";
import type { SpanTaskName, TaskKind } from "./task-names.ts";

/**
 * One option of a command: how it is read, what it may be, how it is explained. Flags, help and the keys of
 * configuration files are all made from it.
 */
export interface Setting<T> {
  /** The value's place-holder in help, "N" or "DIR"; undefined for a switch. */
  readonly hint: string | undefined;
  readonly about: string;
  /** The value when nothing sets it; null: decided later, as `about` says. */
  readonly fallback: T;
  /** Completes "must be …". */
  readonly want: string;
  /** Further names, kebab-case: the reference's and PEFT's. */
  readonly also: readonly string[];
  /** The methods that use it; undefined: all. */
  readonly methods: readonly Method[] | undefined;
  /** The kinds of tasks that use it, or tasks by their names; undefined: all. */
  readonly kinds: readonly (TaskKind | SpanTaskName)[] | undefined;
  /** The value of a flag's text or of a file's key; undefined when it is not what is wanted. */
  read(raw: unknown): T | undefined;
}

export type SettingTable = Readonly<Record<string, Setting<unknown>>>;

/** The values that a table of settings describes, by name. */
export type ValuesOf<Table extends SettingTable> = {
  readonly [Name in keyof Table]: Table[Name] extends Setting<infer T> ? T : never;
};

/** A share of all steps, "10%". */
export type Percent = `${number}%`;

interface Extras {
  readonly also?: readonly string[];
  readonly methods?: readonly Method[];
  readonly kinds?: readonly (TaskKind | SpanTaskName)[];
  readonly hint?: string;
}

interface Range {
  readonly min?: number | undefined;
  readonly above?: number | undefined;
  readonly max?: number | undefined;
  readonly below?: number | undefined;
  /** 0 turns it off, and may be written "none". */
  readonly off?: true | undefined;
}

/** A finite number within a range. */
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
  return makeSetting(fallback, about, want, "X", extras, (raw) => numberIn(raw, range));
}

/** A whole number within a range. */
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
  return makeSetting(fallback, about, want, "N", extras, (raw) => {
    const value = numberIn(raw, range);
    return Number.isSafeInteger(value) ? value : undefined;
  });
}

/** One of a few words; case, "-" and "_" don't matter. */
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
  return makeSetting(fallback, about, want, words.join("|"), extras, (raw) =>
    typeof raw === "string" ? words.find((word) => normalize(word) === normalize(raw)) : undefined,
  );
}

/** The name of an entry of a table whose entries say in `about` what they are; null unless set. */
export function named(
  entries: Readonly<Record<string, { readonly about: string }>>,
  about: string,
  extras: Extras = {},
): Setting<string | null> {
  const each = Object.entries(entries).map(([name, entry]) => `${name}: ${entry.about}`);
  return choice(Object.keys(entries), null, `${about}. ${each.join("; ")}`, extras);
}

/** Text that is not empty: a path, a name. `pattern` and `want` narrow it. */
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
  return makeSetting(fallback, about, want, "TEXT", extras, (raw) => {
    const value = typeof raw === "number" ? String(raw) : raw;
    return typeof value === "string" && pattern.test(value) ? value : undefined;
  });
}

interface TextRule {
  readonly pattern?: RegExp;
  readonly want?: string;
}

/** Words separated by commas, or a file's list of them; null unless set. */
export function list(about: string, extras: Extras = {}): Setting<readonly string[] | null> {
  const want = "words separated by commas";
  return makeSetting<readonly string[] | null>(null, about, want, "A,B", extras, (raw) =>
    itemsIn(raw, (item) => (typeof item === "string" && item.trim()) || undefined),
  );
}

/** Different whole numbers separated by commas, or a file's list of them; null unless set. */
export function integers(about: string, extras: Extras = {}): Setting<readonly number[] | null> {
  const want = "different whole numbers separated by commas";
  return makeSetting<readonly number[] | null>(null, about, want, "N,N", extras, (raw) => {
    const numbers = itemsIn(raw, integerIn);
    return new Set(numbers).size === numbers?.length ? numbers : undefined;
  });
}

/** True or false: a flag without a value. */
export function toggle(fallback: boolean, about: string, extras: Extras = {}): Setting<boolean> {
  const setting = makeSetting(fallback, about, "true or false", "", extras, (raw) => {
    if (typeof raw === "boolean") return raw;
    if (typeof raw !== "string") return undefined;
    return { true: true, false: false }[raw.toLowerCase()];
  });
  return { ...setting, hint: undefined };
}

/** A number of optimizer steps, or a share of them all: 600 or "10%". */
export function span(
  fallback: number | Percent,
  about: string,
  extras: Extras = {},
): Setting<number | Percent> {
  return makeSetting(
    fallback,
    about,
    'a number of steps or a share below "100%"',
    "N|N%",
    extras,
    (raw) =>
      typeof raw === "string" && raw.trim().endsWith("%") ? percentIn(raw) : integerIn(raw),
  );
}

/** The same options where what nothing sets is decided later: by the run that a model comes from. */
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
    ? about.replace(/\(default: [^)]*\)/, "(default: as the run's)")
    : `${about} (default: as the run's)`;
  return { ...setting, fallback: null, about: described };
}

function makeSetting<T>(
  fallback: T,
  about: string,
  want: string,
  hint: string,
  { also = [], methods, kinds, hint: ownHint }: Extras,
  read: (raw: unknown) => T | undefined,
): Setting<T> {
  return { fallback, about, want, also, methods, kinds, read, hint: ownHint ?? hint };
}

/** Python's and TOML's ways to write a number, "0." and "1e-3" too; not "", "0x10" or "Infinity". */
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

/** The items of a comma-separated text or of a list; undefined when it is neither, is empty, or an item is wrong. */
function itemsIn<T>(raw: unknown, read: (item: unknown) => T | undefined): T[] | undefined {
  const items: unknown = typeof raw === "string" ? raw.split(",") : raw;
  if (!Array.isArray(items) || items.length === 0) return undefined;
  const values = items.map(read).filter((value) => value !== undefined);
  return values.length === items.length ? values : undefined;
}
