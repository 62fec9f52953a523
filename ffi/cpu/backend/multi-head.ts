import type { Backend } from "../../../core/backend.ts";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import { floats, integers, elements, optionalTarget, target, typeOf } from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, openSizes, P, SIZE, typedKernels } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

type MultiHead = Pick<Backend, "attention" | "attentionBackward">;

/** kernels/multi-head-forward.c and kernels/multi-head-backward.c */
export const MULTI_HEAD_KERNELS = {
  adl_attention: { args: [P], returns: I },
  adl_attention_bwd: { args: [P], returns: I },
} as const;

/** multi_head_shape of kernels/arguments.h */
export const MULTI_HEAD_SHAPE = {
  sequences: I,
  queries: I,
  keys: I,
  longestKeys: I,
  queryOffsets: P,
  keyOffsets: P,
  heads: I,
  headDim: I,
  scale: F,
  causal: I,
  dropout: P,
} as const;

/** multi_head_args of kernels/arguments.h */
export const MULTI_HEAD_ARGS = struct({
  q: P,
  k: P,
  v: P,
  out: P,
  logSumExp: P,
  dout: P,
  dq: P,
  dk: P,
  dv: P,
  ...MULTI_HEAD_SHAPE,
  scratch: P,
});

/** Scratch sizes in floats. */
export const MULTI_HEAD_SIZES = {
  adl_multi_head_scratch: { args: [I, I], returns: SIZE },
} as const;

function longestOf({ sequences, hostOffsets }: Sequences): number {
  let longest = 0;
  for (let b = 0; b < sequences; b++)
    longest = Math.max(longest, hostOffsets[b + 1]! - hostOffsets[b]!);
  return longest;
}

/** Element counts of q, of k and of logSumExp. */
function counts({ queries, keys, heads, headDim }: AttentionShape) {
  const width = heads * headDim;
  return [queries.tokens * width, keys.tokens * width, heads * queries.tokens] as const;
}

/** Entries of multi-head attention. */
export function multiHead({ library, scratch, dropout: draw }: CpuContext): MultiHead {
  const kernels = typedKernels(library, MULTI_HEAD_KERNELS);
  const sizes = openSizes(library, MULTI_HEAD_SIZES);

  function shapeFields({ queries, keys, heads, headDim, scale, ...shape }: AttentionShape) {
    const { sequences } = queries;
    const longestKeys = longestOf(keys);
    return {
      sequences,
      queries: queries.tokens,
      keys: keys.tokens,
      longestKeys,
      queryOffsets: integers(queries.offsets, sequences + 1),
      keyOffsets: integers(keys.offsets, sequences + 1),
      heads,
      headDim,
      scale,
      causal: Number(shape.causal),
      dropout: draw(shape.dropout),
      scratch: scratch(Number(sizes.adl_multi_head_scratch(longestKeys, headDim))),
    };
  }

  return {
    attention({ q, k, v }, { out, logSumExp }, shape) {
      const [ofQueries, ofKeys, rows] = counts(shape);
      const type = typeOf(out);
      kernels(type).adl_attention(
        pack(MULTI_HEAD_ARGS, {
          ...shapeFields(shape),
          q: elements(q, ofQueries, type),
          k: elements(k, ofKeys, type),
          v: elements(v, ofKeys, type),
          out: target(out, ofQueries, type),
          logSumExp: optionalTarget(logSumExp, rows),
          dout: null,
          dq: null,
          dk: null,
          dv: null,
        }),
      );
    },
    attentionBackward(dout, { q, k, v, out, logSumExp }, grads, shape) {
      const [ofQueries, ofKeys, rows] = counts(shape);
      const type = typeOf(dout);
      kernels(type).adl_attention_bwd(
        pack(MULTI_HEAD_ARGS, {
          ...shapeFields(shape),
          q: elements(q, ofQueries, type),
          k: elements(k, ofKeys, type),
          v: elements(v, ofKeys, type),
          out: elements(out, ofQueries, type),
          logSumExp: floats(logSumExp, rows),
          dout: elements(dout, ofQueries, type),
          dq: target(grads.q, ofQueries, type),
          dk: target(grads.k, ofKeys, type),
          dv: target(grads.v, ofKeys, type),
        }),
      );
    },
  };
}
