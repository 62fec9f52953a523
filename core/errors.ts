import { cutText, excerpt, firstOf, shownShape as shown } from "./excerpt.ts";

interface ErrorOptions {
  readonly hint?: string | undefined;
  readonly cause?: unknown;
  readonly where?: string;
  /** Lines below the message, such as each path that was tried. */
  readonly details?: readonly string[];
}

/** An error that a user can cause. `hint` says what to do next; `cause` keeps the native error. */
export class AdaloraError extends Error {
  override readonly name = "AdaloraError";
  readonly code: string;
  readonly hint: string | undefined;
  /**
   * What to print: the message without details, then these. A line end in one is part of a name.
   */
  readonly lines: readonly string[];
  /** Files: what comes before the rule in `message`, the path with `:line` or a key. */
  readonly where: string | undefined;

  constructor(code: string, message: string, options: ErrorOptions = {}) {
    const { hint, cause, details = [], where } = options;
    super([message, ...details].join("\n  "), { cause });
    this.code = code;
    this.hint = hint;
    this.lines = [message, ...details];
    this.where = where;
  }
}

interface Shaped {
  readonly shape: readonly number[];
}

/** A flag by its bare name, as it is typed: "-o", "--out". */
const dashed = (flag: string) => (flag.length === 1 ? `-${flag}` : `--${flag}`);

/**
 * The messages that several areas use; those of one area are in a catalogue of its own, such as
 * `core/model/model-errors.ts`. Format: `[where] rule: got facts`.
 */
export const errors = {
  shape(op: string, rule: string, tensors: Readonly<Record<string, Shaped>>) {
    const got = Object.entries(tensors).map(([name, t]) => `${name} ${shown(t.shape)}`);
    return new AdaloraError("E_SHAPE", `[${op}] ${rule}: got ${got.join(", ")}`);
  },

  /** A plugin that can't be used, or that failed; `where`: its file, or its name and function. */
  plugin(where: string, rule: string, hint?: string, cause?: unknown) {
    return new AdaloraError("E_PLUGIN", `${where}: ${rule}`, { hint, cause, where });
  },

  config(source: string, key: string, want: string, got: unknown, hint?: string) {
    return new AdaloraError(
      "E_CONFIG",
      `${source}: "${cutText(key)}" must be ${want}, got ${excerpt(got)}`,
      { hint },
    );
  },

  /** A file that a reader cannot use; `where` is the path, with `:line` or a key if known. */
  file(where: string, rule: string, hint?: string, cause?: unknown) {
    return new AdaloraError("E_FILE", `${where}: ${rule}`, { hint, cause, where });
  },

  /** A hub repository that cannot be used; `where` is its name, with the file if known. */
  hub(where: string, rule: string, hint?: string, cause?: unknown) {
    return new AdaloraError("E_HUB", `${where}: ${rule}`, { hint, cause });
  },

  /** The hub or the network fails, though the request may be correct. */
  hubUnreachable(where: string, rule: string, hint: string, cause?: unknown) {
    return new AdaloraError("E_HUB_UNREACHABLE", `${where}: ${rule}`, { hint, cause });
  },

  /** Text that cannot be truncated or split as requested. */
  tokenize(rule: string, got: string, hint?: string) {
    return new AdaloraError("E_TOKENIZE", `[tokenize] ${rule}: got ${got}`, { hint });
  },

  metric(name: string, rule: string) {
    return new AdaloraError("E_METRIC", `[${name}] ${rule}`);
  },

  /** Sources, options or scores that generation cannot use. */
  generation(rule: string, got: string) {
    return new AdaloraError("E_GENERATION", `[generate] ${rule}: got ${got}`);
  },

  /** The model's outputs for some rows of a split, by index or id, contain NaN or Infinity. */
  outputNotFinite(
    { split, what }: { readonly split: string; readonly what: string },
    rows: readonly string[],
    count: number,
  ) {
    return new AdaloraError(
      "E_NOT_FINITE",
      `${split}: ${what} must be finite: got NaN or Infinity in ${rows.length} of ${count} rows, counted from 0: ${firstOf(rows, 8)}`,
      {
        hint: "all rows: the weights of the model or its adapter contain NaN or overflow; some rows: inspect their texts",
      },
    );
  },

  library(what: string, tried: readonly string[], hint: string) {
    return new AdaloraError("E_LIBRARY", `cannot load ${what}`, { hint, details: tried });
  },

  native(call: string, status: number, text: string, hint?: string) {
    return new AdaloraError("E_NATIVE", `[${call}] ${text} (status ${status})`, { hint });
  },

  /** `free`: bytes that the device still has, where it has memory of its own. */
  memory(bytes: number, live: number, free?: number) {
    const gib = (n: number) => `${(n / 2 ** 30).toFixed(2)} GiB`;
    return new AdaloraError(
      "E_MEMORY",
      `out of memory: cannot allocate ${gib(bytes)} with ${gib(live)} in use${free === undefined ? "" : `, ${gib(free)} are free on the device`}`,
      {
        hint: "reduce --batch-size, --max-length or --init-rank, or use --checkpointing",
      },
    );
  },

  /** Something that this machine lacks: a compiler, an instruction set or a package. */
  machine(what: string, hint: string) {
    return new AdaloraError("E_MACHINE", what, { hint });
  },

  flag(flag: string, rule: string, hint?: string, details: readonly string[] = []) {
    return new AdaloraError("E_FLAG", `${dashed(flag)} ${rule}`, { hint, details });
  },

  missing(what: string, hint: string) {
    return new AdaloraError("E_CONFIG", `no ${what} given`, { hint });
  },

  /** Two options that exclude each other. */
  alternatives(first: string, second: string) {
    return new AdaloraError("E_CONFIG", `${first} and ${second} exclude each other: give one`);
  },

  /** An option that does not apply to `where`, a method, task or workload. */
  unusable(option: string, where: string, hint: string) {
    return new AdaloraError("E_CONFIG", `${option} does not apply to ${where}`, { hint });
  },

  argument(word: string, usage: string) {
    const takes = usage === "" ? "only flags: --help lists them" : `${usage}, and flags`;
    return new AdaloraError("E_FLAG", `unexpected argument "${word}"`, {
      hint: `the command takes ${takes}`,
    });
  },

  out(folder: string, rule: string, hint?: string) {
    return new AdaloraError("E_OUT", `${folder} ${rule}`, { hint });
  },

  unknownFlag(flag: string, nearest: string | undefined) {
    return new AdaloraError("E_FLAG", `unknown flag ${dashed(flag)}`, {
      hint: nearest === undefined ? undefined : `did you mean --${nearest}?`,
    });
  },
};

/**
 * Throws if `condition` does not hold, which only a bug in adalora can cause. In hot code `message`
 * is a function, so that it is built only on failure.
 */
export function invariant(condition: unknown, message: string | (() => string)): asserts condition {
  if (condition) return;
  throw new Error(`internal: ${typeof message === "string" ? message : message()}`);
}
