import type { ActivationKind } from "./elementwise.ts";
import type { Buffer } from "./memory.ts";

/** Operands of a gated activation, or their gradients, with the row stride of the shape. */
export interface GatedInputs {
  readonly x: Buffer;
  readonly gate: Buffer;
}

/**
 * Rows of a gated activation: [rows, cols]. `stride`: elements from one row of x and gate to the
 * next: cols, or 2 * cols where both are halves of one matrix.
 */
export interface GatedShape {
  readonly rows: number;
  readonly cols: number;
  readonly stride: number;
}

/** Gated linear units (Shazeer, 2020). */
export interface GatedActivationKernels {
  /** y = f(x) * gate; sets y, whose rows are packed. */
  gatedActivation(kind: ActivationKind, inputs: GatedInputs, y: Buffer, shape: GatedShape): void;
  /**
   * dx = dy * gate * f'(x), dgate = dy * f(x). Sets both, with the row stride of x and gate, which
   * they may be.
   */
  gatedActivationBackward(
    kind: ActivationKind,
    dy: Buffer,
    inputs: GatedInputs,
    grads: GatedInputs,
    shape: GatedShape,
  ): void;
}
