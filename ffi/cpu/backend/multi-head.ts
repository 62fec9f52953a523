import type { Backend } from "../../../core/backend.ts";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import { floats, integers, numbers, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, openSizes, P, SIZE, typedKernels } from "./kernels.ts";

type MultiHead = Pick<Backend, "attention" | "attentionBackward">;

/** sequences, queries, keys, longest keys, query offsets, key offsets, heads, head_dim, scale, causal, dropout, scratch */
const SHAPE = [I, I, I, I, P, P, I, I, F, I, P, P] as const;

/** kernels/multi-head-forward.c and kernels/multi-head-backward.c */
export const MULTI_HEAD_KERNELS = {
  adl_attention: { args: [P, P, P, P, P, ...SHAPE], returns: I },
  adl_attention_bwd: { args: [P, P, P, P, P, P, P, P, P, ...SHAPE], returns: I },
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
  const kernels = typedKernels(library, MULTI_HEAD_KERNELS);
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

  const counts = ({ queries, keys, heads, headDim }: AttentionShape) => {
    const width = heads * headDim;
    return [queries.tokens * width, keys.tokens * width, heads * queries.tokens] as const;
  };

  return {
    attention({ q, k, v }, { out, logSumExp }, shape) {
      const [ofQueries, ofKeys, rows] = counts(shape);
      const type = typeOf(out);
      kernels(type).adl_attention(
        numbers(q, ofQueries, type),
        numbers(k, ofKeys, type),
        numbers(v, ofKeys, type),
        target(out, ofQueries, type),
        optionalTarget(logSumExp, rows),
        ...shapeArguments(shape),
      );
    },
    attentionBackward(dout, { q, k, v, out, logSumExp }, grads, shape) {
      const [ofQueries, ofKeys, rows] = counts(shape);
      const type = typeOf(dout);
      kernels(type).adl_attention_bwd(
        numbers(dout, ofQueries, type),
        numbers(q, ofQueries, type),
        numbers(k, ofKeys, type),
        numbers(v, ofKeys, type),
        numbers(out, ofQueries, type),
        floats(logSumExp, rows),
        target(grads.q, ofQueries, type),
        target(grads.k, ofKeys, type),
        target(grads.v, ofKeys, type),
        ...shapeArguments(shape),
      );
    },
  };
}
