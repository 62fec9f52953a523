import type { Backend } from "../../../core/backend.ts";
import {
  type DisentangledShape,
  type Packing,
  probabilityCount,
} from "../../../core/kernels/attention.ts";
import { integers, numbers, optionalNumbers, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, openSizes, P, SIZE, typedKernels } from "./kernels.ts";

type Attention = Pick<Backend, "disentangledAttention" | "disentangledAttentionBackward">;

/** sequences, tokens, longest, offsets, positions, span, relative, relative_rows, heads, head_dim, scale, dropout, scratch */
const SHAPE = [I, I, I, P, P, I, P, I, I, I, F, P, P] as const;

const FORWARD = { args: [P, P, P, P, P, P, P, ...SHAPE], returns: I } as const;
const BACKWARD = { args: [P, P, P, P, P, P, P, P, P, P, P, P, ...SHAPE], returns: I } as const;

/** kernels/attention-forward.c, attention-backward.c and attention-first.c */
export const ATTENTION_KERNELS = {
  adl_disentangled_attention: FORWARD,
  adl_disentangled_attention_bwd: BACKWARD,
  adl_first_attention: FORWARD,
  adl_first_attention_bwd: BACKWARD,
} as const;

export const ATTENTION_SIZES = {
  adl_attention_scratch: { args: [I, I, I, P, I, I], returns: SIZE },
} as const;

/** Rows of the longest sequence. */
function longestOf({ sequences, hostOffsets }: Packing): number {
  let longest = 0;
  for (let b = 0; b < sequences; b++)
    longest = Math.max(longest, hostOffsets[b + 1]! - hostOffsets[b]!);
  return longest;
}

/** Numbers of the operands of one call. */
function sizesOf(shape: DisentangledShape) {
  const { packing, queries, heads, headDim, relativeRows } = shape;
  const width = heads * headDim;
  return {
    keys: packing.tokens * width,
    queries: (queries === "first" ? packing.sequences : packing.tokens) * width,
    positions: relativeRows * width,
    probs: probabilityCount(shape),
  };
}

export function attention({ library, scratch, dropout: draw }: CpuContext): Attention {
  const kernels = typedKernels(library, ATTENTION_KERNELS);
  const sizes = openSizes(library, ATTENTION_SIZES);

  /** The arguments of SHAPE. */
  function shapeArguments(shape: DisentangledShape) {
    const { packing, heads, headDim, scale, relative, relativeRows, dropout } = shape;
    const { sequences, tokens, offsets, positions, span } = packing;
    const longest = longestOf(packing);
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
    disentangledAttention({ q, k, v, posKey, posQuery }, { out, probs }, shape) {
      const { queries, keys, positions, probs: pairs } = sizesOf(shape);
      const type = typeOf(out);
      const { adl_disentangled_attention, adl_first_attention } = kernels(type);
      const kernel = shape.queries === "first" ? adl_first_attention : adl_disentangled_attention;
      kernel(
        numbers(q, queries, type),
        numbers(k, keys, type),
        numbers(v, keys, type),
        optionalNumbers(posKey, positions, type),
        optionalNumbers(posQuery, positions, type),
        target(out, queries, type),
        optionalTarget(probs, pairs, type),
        ...shapeArguments(shape),
      );
    },
    disentangledAttentionBackward(dout, { q, k, v, posKey, posQuery }, probs, grads, shape) {
      const { queries, keys, positions, probs: pairs } = sizesOf(shape);
      const type = typeOf(dout);
      const { adl_disentangled_attention_bwd, adl_first_attention_bwd } = kernels(type);
      const first = shape.queries === "first";
      const kernel = first ? adl_first_attention_bwd : adl_disentangled_attention_bwd;
      kernel(
        numbers(dout, queries, type),
        numbers(q, queries, type),
        numbers(k, keys, type),
        numbers(v, keys, type),
        optionalNumbers(posKey, positions, type),
        optionalNumbers(posQuery, positions, type),
        numbers(probs, pairs, type),
        target(grads.q, queries, type),
        target(grads.k, keys, type),
        target(grads.v, keys, type),
        optionalTarget(grads.posKey, positions, type),
        optionalTarget(grads.posQuery, positions, type),
        ...shapeArguments(shape),
      );
    },
  };
}
