import type { Buffer } from "./memory.ts";

/**
 * An activation function; "gelu" is the erf form, "gelu_new" the tanh form, "silu" x * sigmoid(x).
 */
export const activationKinds = ["gelu", "gelu_new", "relu", "silu", "tanh"] as const;

/** One of `activationKinds`. */
export type ActivationKind = (typeof activationKinds)[number];

/**
 * Inverted dropout with a counter-based mask: element (row, col) is kept where
 * philox(counter = [col >> 2, row, site, step], key = seed)[col & 3] >= floor(probability * 2^32),
 * and is then scaled by 1 / (1 - probability). Nothing is stored; backward draws the mask again.
 */
export interface Dropout {
  readonly probability: number;
  readonly seed: readonly [low: number, high: number];
  readonly step: number;
  readonly site: number;
}

/** Kernels that treat every element alike. */
export interface ElementwiseKernels {
  /** y += x. */
  add(y: Buffer, x: Buffer): void;
  /** y = x * factor; may be in place. */
  scale(x: Buffer, factor: number, y: Buffer): void;
  /** y = x * s[0], s a device scalar; may be in place. */
  scaleBy(x: Buffer, s: Buffer, y: Buffer): void;
  /** y = |x|. */
  absolute(x: Buffer, y: Buffer): void;
  /** y = f(x). */
  activate(kind: ActivationKind, x: Buffer, y: Buffer): void;
  /** dx = dy * f'(x); sets dx, which may be dy. */
  activationBackward(kind: ActivationKind, x: Buffer, dy: Buffer, dx: Buffer): void;
  /** y = dropout(x); sets y, which may be x. It is its own backward. */
  dropout(x: Buffer, y: Buffer, rows: number, cols: number, dropout: Dropout): void;
  /** y = residual + dropout(x); sets y, which may be x or residual. */
  addDropout(
    x: Buffer,
    residual: Buffer,
    y: Buffer,
    shape: { rows: number; cols: number; dropout: Dropout | undefined },
  ): void;
}
