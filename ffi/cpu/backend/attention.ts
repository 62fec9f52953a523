import type { Backend, DisentangledShape } from "../../../core/backend.ts";
import { integers, numbers, optionalNumbers, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, openSizes, P, SIZE, typedKernels } from "./kernels.ts";

type Attention = Pick<Backend, "disentangledAttention" | "disentangledAttentionBackward">;

/** sequences, tokens, longest, offsets, positions, span, relative, relative_rows, heads, head_dim, scale, dropout, scratch */
const SHAPE = [I, I, I, P, P, I, P, I, I, I, F, P, P] as const;

/** kernels/attention-forward.c and kernels/attention-backward.c */
export const ATTENTION_KERNELS = {
  adl_disentangled_attention: { args: [P, P, P, P, P, P, P, ...SHAPE], returns: I },
  adl_disentangled_attention_bwd: {
    args: [P, P, P, P, P, P, P, P, P, P, P, P, ...SHAPE],
    returns: I,
  },
} as const;

export const ATTENTION_SIZES = {
  adl_attention_scratch: { args: [I, I, I, P, I, I], returns: SIZE },
} as const;

/** Rows of the longest sequence, and the sum of the squared lengths. */
function lengths({ packing }: DisentangledShape): { longest: number; squares: number } {
  let [longest, squares] = [0, 0];
  for (let b = 0; b < packing.sequences; b++) {
    const n = packing.hostOffsets[b + 1]! - packing.hostOffsets[b]!;
    longest = Math.max(longest, n);
    squares += n * n;
  }
  return { longest, squares };
}

export function attention({ library, scratch, dropout: draw }: CpuContext): Attention {
  const kernels = typedKernels(library, ATTENTION_KERNELS);
  const sizes = openSizes(library, ATTENTION_SIZES);

  /** The arguments of SHAPE. */
  function shapeArguments(shape: DisentangledShape) {
    const { packing, heads, headDim, scale, relative, relativeRows, dropout } = shape;
    const { sequences, tokens, offsets, positions, span } = packing;
    const { longest } = lengths(shape);
    const table = relative === undefined ? null : integers(relative, 2 * span - 1);
    const space = Number(
      sizes.adl_attention_scratch(sequences, longest, span, table, heads, headDim),
    );
    const [starts, places] = [integers(offsets, sequences + 1), integers(positions, tokens)];
    return [
      ...([sequences, tokens, longest, starts, places, span, table, relativeRows] as const),
      ...([heads, headDim, scale, draw(dropout), scratch(space)] as const),
    ] as const;
  }

  return {
    disentangledAttention(q, k, v, posKey, posQuery, out, probs, shape) {
      const width = shape.heads * shape.headDim;
      const [tokens, positions] = [shape.packing.tokens * width, shape.relativeRows * width];
      const type = typeOf(out);
      kernels(type).adl_disentangled_attention(
        numbers(q, tokens, type),
        numbers(k, tokens, type),
        numbers(v, tokens, type),
        optionalNumbers(posKey, positions, type),
        optionalNumbers(posQuery, positions, type),
        target(out, tokens, type),
        optionalTarget(probs, shape.heads * lengths(shape).squares, type),
        ...shapeArguments(shape),
      );
    },
    disentangledAttentionBackward(dout, { q, k, v, posKey, posQuery }, probs, grads, shape) {
      const width = shape.heads * shape.headDim;
      const [tokens, positions] = [shape.packing.tokens * width, shape.relativeRows * width];
      const type = typeOf(dout);
      kernels(type).adl_disentangled_attention_bwd(
        numbers(dout, tokens, type),
        numbers(q, tokens, type),
        numbers(k, tokens, type),
        numbers(v, tokens, type),
        optionalNumbers(posKey, positions, type),
        optionalNumbers(posQuery, positions, type),
        numbers(probs, shape.heads * lengths(shape).squares, type),
        target(grads.dq, tokens, type),
        target(grads.dk, tokens, type),
        target(grads.dv, tokens, type),
        optionalTarget(grads.dposKey, positions, type),
        optionalTarget(grads.dposQuery, positions, type),
        ...shapeArguments(shape),
      );
    },
  };
}
