import type { AttentionShape, Backend, Sequences } from "../../../core/backend.ts";
import { floats, integers, optionalTarget, target } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, openKernels, openSizes, P, SIZE } from "./kernels.ts";

type MultiHead = Pick<Backend, "attention" | "attentionBackward">;

/** sequences, queries, keys, longest keys, query offsets, key offsets, heads, head_dim, scale, causal, dropout, scratch */
const SHAPE = [I, I, I, I, P, P, I, I, F, I, P, P] as const;

/** kernels/multi-head-forward.c and kernels/multi-head-backward.c */
export const MULTI_HEAD_KERNELS = {
  adl_attention_f32: { args: [P, P, P, P, P, ...SHAPE], returns: I },
  adl_attention_bwd_f32: { args: [P, P, P, P, P, P, P, P, P, ...SHAPE], returns: I },
} as const;

export const MULTI_HEAD_SIZES = {
  adl_multi_head_scratch: { args: [I, I], returns: SIZE },
} as const;

function longestOf({ sequences, hostOffsets }: Sequences): number {
  let longest = 0;
  for (let b = 0; b < sequences; b++)
    longest = Math.max(longest, hostOffsets[b + 1]! - hostOffsets[b]!);
  return longest;
}

export function multiHead({ library, scratch, dropout: draw }: CpuContext): MultiHead {
  const kernels = openKernels(library, MULTI_HEAD_KERNELS);
  const sizes = openSizes(library, MULTI_HEAD_SIZES);

  /** The arguments of SHAPE. */
  function shapeArguments(shape: AttentionShape) {
    const { queries, keys, heads, headDim, scale, causal, dropout } = shape;
    const { sequences } = queries;
    const longest = longestOf(keys);
    const space = scratch(Number(sizes.adl_multi_head_scratch(longest, headDim)));
    return [
      ...([sequences, queries.tokens, keys.tokens, longest] as const),
      ...([
        integers(queries.offsets, sequences + 1),
        integers(keys.offsets, sequences + 1),
      ] as const),
      ...([heads, headDim, scale, Number(causal), draw(dropout), space] as const),
    ] as const;
  }

  const numbers = ({ queries, keys, heads, headDim }: AttentionShape) => {
    const width = heads * headDim;
    return [queries.tokens * width, keys.tokens * width, heads * queries.tokens] as const;
  };

  return {
    attention(q, k, v, out, logSumExp, shape) {
      const [ofQueries, ofKeys, rows] = numbers(shape);
      kernels.adl_attention_f32(
        floats(q, ofQueries),
        floats(k, ofKeys),
        floats(v, ofKeys),
        target(out, ofQueries),
        optionalTarget(logSumExp, rows),
        ...shapeArguments(shape),
      );
    },
    attentionBackward(dout, { q, k, v, out, logSumExp }, { dq, dk, dv }, shape) {
      const [ofQueries, ofKeys, rows] = numbers(shape);
      kernels.adl_attention_bwd_f32(
        floats(dout, ofQueries),
        floats(q, ofQueries),
        floats(k, ofKeys),
        floats(v, ofKeys),
        floats(out, ofQueries),
        floats(logSumExp, rows),
        target(dq, ofQueries),
        target(dk, ofKeys),
        target(dv, ofKeys),
        ...shapeArguments(shape),
      );
    },
  };
}
