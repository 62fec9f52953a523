import type { Backend, Buffer } from "../backend.ts";
import { composedLinears } from "./composed-linears.ts";
import { ReferenceBuffer, floats, integers, widen } from "./reference/buffer.ts";
import { disentangledAttentionKernels } from "./reference/attention.ts";
import { chosenRowsKernels } from "./reference/chosen-rows.ts";
import { elementwiseKernels } from "./reference/elementwise.ts";
import { gatedActivationKernels } from "./reference/gated-activation.ts";
import { layerNormKernels } from "./reference/layer-norm.ts";
import { lossKernels } from "./reference/losses.ts";
import { matrixKernels } from "./reference/matrix.ts";
import { attentionKernels } from "./reference/multi-head-attention.ts";
import { rmsNormKernels } from "./reference/rms-norm.ts";
import { rotaryKernels } from "./reference/rotary.ts";
import { rowKernels } from "./reference/rows.ts";
import { decodingKernels } from "./reference/top-log-probabilities.ts";
import { trainingKernels } from "./reference/training.ts";

/**
 * Creates the reference backend: plain loops in f64. Slow on purpose: every other backend is tested
 * against it.
 */
export function createReferenceBackend(): Backend {
  let live = 0;
  let peak = 0;
  const owned = new Set<Buffer>();
  return {
    name: "reference",
    activation: "f64",
    master: "f64",

    alloc(dtype, length) {
      // NaN exposes a kernel that adds where it should set.
      const data = dtype === "i32" ? new Int32Array(length) : new Float64Array(length).fill(NaN);
      const buffer = new ReferenceBuffer(dtype === "i32" ? "i32" : "f64", data);
      owned.add(buffer);
      live += data.byteLength;
      peak = Math.max(peak, live);
      return buffer;
    },
    free(buffer) {
      if (owned.delete(buffer)) live -= bytesOf(buffer);
    },
    view(buffer, offset, length) {
      return new ReferenceBuffer(buffer.dtype, elements(buffer).subarray(offset, offset + length));
    },
    zero(buffer) {
      elements(buffer).fill(0);
    },
    copy(to, from) {
      elements(to).set(elements(from));
    },
    upload(to, from) {
      elements(to).set(from);
    },
    download(from) {
      return elements(from).slice();
    },
    adopt(tensor) {
      return new ReferenceBuffer("f64", widen(tensor));
    },
    memory: () => ({ live, peak }),

    ...matrixKernels,
    ...composedLinears,
    ...elementwiseKernels,
    ...rowKernels,
    ...layerNormKernels,
    ...rmsNormKernels,
    ...gatedActivationKernels,
    ...rotaryKernels,
    ...disentangledAttentionKernels,
    ...attentionKernels,
    ...chosenRowsKernels,
    ...decodingKernels,
    ...lossKernels,
    ...trainingKernels,
  };
}

function elements(buffer: Buffer): Float64Array | Int32Array {
  return buffer.dtype === "i32" ? integers(buffer) : floats(buffer);
}

function bytesOf(buffer: Buffer): number {
  return elements(buffer).byteLength;
}
