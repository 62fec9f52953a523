import type { Kind } from "./mutate.ts";

/** A valid input that cases are made of. */
export interface Seed {
  readonly bytes: Uint8Array;
  readonly kind: Kind;
  /** For a target that reads several files: which one is changed. */
  readonly name?: string;
}

/** A reader to be fuzzed. */
export interface Target {
  readonly name: string;
  seeds(): readonly Seed[] | Promise<readonly Seed[]>;
  /** Reads changed bytes; `dir` is an empty folder for files. Throws what the reader throws. */
  read(bytes: Uint8Array, seed: Seed, dir: string): unknown;
}
