import type { AttentionKernels } from "./kernels/attention.ts";
import type { DecodingKernels } from "./kernels/decoding.ts";
import type { ElementwiseKernels } from "./kernels/elementwise.ts";
import type { GatedActivationKernels } from "./kernels/gated-activation.ts";
import type { LayerNormKernels } from "./kernels/layer-norm.ts";
import type { LinearKernels } from "./kernels/linears.ts";
import type { LossKernels } from "./kernels/losses.ts";
import type { MatrixKernels } from "./kernels/matrix.ts";
import type { DType, MemoryKernels } from "./kernels/memory.ts";
import type { RmsNormKernels } from "./kernels/rms-norm.ts";
import type { RotaryKernels } from "./kernels/rotary.ts";
import type { RowKernels } from "./kernels/rows.ts";
import type { TrainingKernels } from "./kernels/training.ts";

export type { Buffer, DType, HostArray, HostTensor } from "./kernels/memory.ts";

/** Measures a device's work, for a backend whose calls return before it is done. */
export interface Timer {
  /** Marks the end of the work queued so far. Cheap, and waits for nothing. */
  mark(): number;
  /** Waits for the marked work; milliseconds from the first of these marks to each of them. */
  read(marks: readonly number[]): readonly number[];
  /** Forgets all marks. */
  clear(): void;
}

/**
 * A table of coarse kernels over opaque buffers, without shape checks and without autograd: ops
 * check their inputs. Each entry says what it sets and what it adds to. All matrices are row-major
 * and packed unless a stride is given. Kernels may run after the call returns: only `download` and
 * what `startDownload` returns wait.
 */
export interface Backend
  extends
    MemoryKernels,
    MatrixKernels,
    LinearKernels,
    ElementwiseKernels,
    GatedActivationKernels,
    RowKernels,
    LayerNormKernels,
    RmsNormKernels,
    RotaryKernels,
    AttentionKernels,
    DecodingKernels,
    LossKernels,
    TrainingKernels {
  readonly name: string;
  /** The dtype of activations and frozen weights. */
  readonly activation: DType;
  /** The dtype of all that is trained, summed or averaged: "master values". */
  readonly master: DType;
  /** Absent where calls return when their work is done. */
  readonly timer?: Timer;
  /** What else its results depend on, by name: threads, kernels, libraries. */
  readonly details?: Readonly<Record<string, string | number>>;
}
