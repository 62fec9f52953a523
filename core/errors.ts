/** Anything a user can cause. `hint` says what to do next; `cause` keeps the native error. */
export class AdaloraError extends Error {
  override readonly name = "AdaloraError";
  readonly code: string;
  readonly hint: string | undefined;

  constructor(
    code: string,
    message: string,
    { hint, cause }: { hint?: string | undefined; cause?: unknown } = {},
  ) {
    super(message, { cause });
    this.code = code;
    this.hint = hint;
  }
}

interface Shaped {
  readonly shape: readonly number[];
}

const shown = (shape: readonly number[]) => `[${shape.join(", ")}]`;

/** Every message in one place: they read alike, and tests can quote them. Format: `[where] rule: got facts`. */
export const errors = {
  shape(op: string, rule: string, tensors: Readonly<Record<string, Shaped>>) {
    const got = Object.entries(tensors).map(([name, t]) => `${name} ${shown(t.shape)}`);
    return new AdaloraError("E_SHAPE", `[${op}] ${rule}: got ${got.join(", ")}`);
  },

  unknownModelType(modelType: string, known: readonly string[]) {
    return new AdaloraError("E_MODEL_TYPE", `no plugin handles model_type "${modelType}"`, {
      hint: `known: ${known.join(", ")}. A new family is one file: see adalora plugin new.`,
    });
  },

  config(source: string, key: string, want: string, got: unknown) {
    return new AdaloraError(
      "E_CONFIG",
      `${source}: "${key}" must be ${want}, got ${JSON.stringify(got)}`,
    );
  },

  /** A file that a reader cannot use; `where` is the path, with `:line` or a key where one is known. */
  file(where: string, rule: string, hint?: string, cause?: unknown) {
    return new AdaloraError("E_FILE", `${where}: ${rule}`, { hint, cause });
  },

  metric(name: string, rule: string) {
    return new AdaloraError("E_METRIC", `[${name}] ${rule}`);
  },

  library(what: string, tried: readonly string[], hint: string) {
    return new AdaloraError("E_LIBRARY", `cannot load ${what}\n  ${tried.join("\n  ")}`, { hint });
  },

  native(call: string, status: number, text: string) {
    return new AdaloraError("E_NATIVE", `[${call}] ${text} (status ${status})`);
  },

  memory(bytes: number, live: number) {
    const gib = (n: number) => `${(n / 2 ** 30).toFixed(2)} GiB`;
    return new AdaloraError(
      "E_MEMORY",
      `out of memory: wanted ${gib(bytes)}, ${gib(live)} in use`,
      {
        hint: "a smaller --batch-size or --max-length, or --checkpointing, needs less",
      },
    );
  },

  flag(flag: string, rule: string, hint?: string) {
    return new AdaloraError("E_FLAG", `--${flag} ${rule}`, { hint });
  },

  unknownFlag(flag: string, nearest: string | undefined) {
    return new AdaloraError("E_FLAG", `unknown flag --${flag}`, {
      hint: nearest === undefined ? undefined : `did you mean --${nearest}?`,
    });
  },
};

/** For states that only a bug in adalora can reach. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`internal: ${message}`);
}
