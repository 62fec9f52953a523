import type { Backend, DType } from "../../../core/backend.ts";
import { invariant } from "../../../core/errors.ts";
import type { DisentangledShape } from "../../../core/kernels/attention.ts";
import { type KernelType, optionalTarget, target, typeOf } from "../buffer.ts";
import { i32, type Launcher } from "../launcher.ts";
import { disentangledBackward } from "./disentangled-backward.ts";
import {
  blocksOfEach,
  contentArgs,
  launchSequences,
  positionArgs,
  queryRowsOf,
  savedLength,
  shapeArgs,
  sizesOf,
} from "./disentangled-shape.ts";
import { dropoutArgs } from "./dropout.ts";
import { flashDim } from "./flash.ts";
import {
  FLASH_HEAD,
  flashDisentangled,
  flashDisentangledBackward,
  flashSavedLength,
} from "./flash-disentangled.ts";

type Disentangled = Pick<
  Backend,
  "disentangledSaved" | "disentangledAttention" | "disentangledAttentionBackward"
>;

/** Most floats of scratch in a call of backward: 64 MiB. */
const SCRATCH = 2 ** 24;

/** Whether kernels/flash-disentangled.cu computes a call. */
const isFlash = (type: DType, { headDim }: DisentangledShape) =>
  flashDim(type, headDim, [FLASH_HEAD]) !== undefined;

/** What forward saves with activations of type `activation`. */
export const disentangledSaved =
  (activation: DType): Disentangled["disentangledSaved"] =>
  (shape) => {
    const length = isFlash(activation, shape) ? flashSavedLength(shape) : savedLength(shape);
    return { dtype: "f32", length, readsOut: true };
  };

/**
 * kernels/flash-disentangled.cu in bf16, kernels/disentangled.cu otherwise and for wider heads,
 * whose backward computes as many heads at a time as `scratch` floats hold.
 */
export function disentangledKernels(
  launcher: Launcher,
  activation: KernelType,
  scratch = SCRATCH,
): Disentangled {
  return {
    disentangledSaved: disentangledSaved(activation),

    disentangledAttention(inputs, { out, saved }, shape) {
      const [type, blocks] = [typeOf(out), blocksOfEach(shape).ofQueries];
      if (isFlash(type, shape)) {
        flashDisentangled(launcher, inputs, { out, saved }, shape);
        return;
      }
      const grid = { blocks, heads: shape.heads };
      launchSequences(launcher, `disentangled_${type}`, shape, grid, [
        target(out, sizesOf(shape).queries, type),
        optionalTarget(saved, savedLength(shape)),
        i32(queryRowsOf(shape)),
        ...contentArgs(inputs, shape, type),
        ...positionArgs(inputs, shape, type),
        ...shapeArgs(shape, blocks, 0),
        ...dropoutArgs(shape.dropout),
      ]);
    },

    disentangledAttentionBackward(dout, inputs, { saved, out }, grads, shape) {
      invariant(out !== undefined, "backward reads the forward pass' out");
      const type = typeOf(dout);
      const call = { dout, inputs, saved, out, grads, shape };
      if (isFlash(type, shape)) flashDisentangledBackward(launcher, scratch, call);
      else disentangledBackward(launcher, scratch, { ...call, type });
    },
  };
}
