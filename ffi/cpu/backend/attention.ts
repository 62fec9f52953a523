import type { Backend, DType } from "../../../core/backend.ts";
import {
  type DisentangledShape,
  longestSequence,
  probabilityCount,
  saveProbabilities,
} from "../../../core/kernels/attention.ts";
import {
  integers,
  elements,
  optionalIntegers,
  optionalElements,
  optionalTarget,
  target,
  typeOf,
} from "./buffer.ts";
import type { CpuContext } from "./context.ts";
import { F, I, type KernelType, openSizes, P, SIZE, typedKernels } from "./kernels.ts";
import { pack, struct } from "./struct.ts";

type Attention = Pick<
  Backend,
  "disentangledSaved" | "disentangledAttention" | "disentangledAttentionBackward"
>;

const ONE_STRUCT = { args: [P], returns: I } as const;

/** kernels/attention-forward.c, attention-backward.c and attention-first.c */
export const ATTENTION_KERNELS = {
  adl_disentangled_attention: ONE_STRUCT,
  adl_disentangled_attention_bwd: ONE_STRUCT,
  adl_first_attention: ONE_STRUCT,
  adl_first_attention_bwd: ONE_STRUCT,
} as const;

/** attention_shape of kernels/arguments.h */
export const ATTENTION_SHAPE = {
  sequences: I,
  tokens: I,
  longest: I,
  heads: I,
  headDim: I,
  scale: F,
  offsets: P,
  positions: P,
  span: I,
  relative: P,
  relativeRows: I,
  dropout: P,
} as const;

/** attention_args of kernels/arguments.h */
export const ATTENTION_ARGS = struct({
  q: P,
  k: P,
  v: P,
  posKey: P,
  posQuery: P,
  out: P,
  probs: P,
  dout: P,
  dq: P,
  dk: P,
  dv: P,
  dposKey: P,
  dposQuery: P,
  ...ATTENTION_SHAPE,
  scratch: P,
});

/** Scratch sizes in floats. */
export const ATTENTION_SIZES = {
  adl_attention_scratch: { args: [I, I, I, P, I, I], returns: SIZE },
} as const;

const NO_GRADIENTS = {
  dout: null,
  dq: null,
  dk: null,
  dv: null,
  dposKey: null,
  dposQuery: null,
} as const;

/** Element counts of one call's operands. */
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

type Inputs = Parameters<Backend["disentangledAttentionBackward"]>[1];

function inputFields(inputs: Inputs, shape: DisentangledShape, type: KernelType) {
  const { queries, keys, positions } = sizesOf(shape);
  return {
    q: elements(inputs.q, queries, type),
    k: elements(inputs.k, keys, type),
    v: elements(inputs.v, keys, type),
    posKey: optionalElements(inputs.posKey, positions, type),
    posQuery: optionalElements(inputs.posQuery, positions, type),
  };
}

function shapeFields(shape: DisentangledShape) {
  const { packing, heads, headDim, scale, relative, relativeRows } = shape;
  const { sequences, tokens, offsets, positions, span } = packing;
  return {
    sequences,
    tokens,
    longest: longestSequence(packing),
    heads,
    headDim,
    scale,
    offsets: integers(offsets, sequences + 1),
    positions: integers(positions, tokens),
    span,
    relative: optionalIntegers(relative, 2 * span - 1),
    relativeRows,
  };
}

/** Entries of disentangled attention. */
export function attention(context: CpuContext, activation: DType): Attention {
  const { library, scratch, dropout: draw } = context;
  const kernels = typedKernels(library, ATTENTION_KERNELS);
  const sizes = openSizes(library, ATTENTION_SIZES);

  function callFields(shape: DisentangledShape) {
    const fields = shapeFields(shape);
    const { sequences, longest, span, relative, heads, headDim } = fields;
    const space = sizes.adl_attention_scratch(sequences, longest, span, relative, heads, headDim);
    return { ...fields, dropout: draw(shape.dropout), scratch: scratch(Number(space)) };
  }

  return {
    disentangledSaved: saveProbabilities(activation),
    disentangledAttention({ q, k, v, posKey, posQuery }, { out, saved }, shape) {
      const { queries, probs: pairs } = sizesOf(shape);
      const type = typeOf(out);
      const { adl_disentangled_attention, adl_first_attention } = kernels(type);
      const kernel = shape.queries === "first" ? adl_first_attention : adl_disentangled_attention;
      kernel(
        pack(ATTENTION_ARGS, {
          ...callFields(shape),
          ...inputFields({ q, k, v, posKey, posQuery }, shape, type),
          out: target(out, queries, type),
          probs: optionalTarget(saved, pairs, type),
          ...NO_GRADIENTS,
        }),
      );
    },
    disentangledAttentionBackward(dout, inputs, { saved }, grads, shape) {
      const { queries, keys, positions, probs: pairs } = sizesOf(shape);
      const type = typeOf(dout);
      const { adl_disentangled_attention_bwd, adl_first_attention_bwd } = kernels(type);
      const first = shape.queries === "first";
      const kernel = first ? adl_first_attention_bwd : adl_disentangled_attention_bwd;
      kernel(
        pack(ATTENTION_ARGS, {
          ...callFields(shape),
          ...inputFields(inputs, shape, type),
          out: null,
          probs: elements(saved, pairs, type),
          dout: elements(dout, queries, type),
          dq: target(grads.q, queries, type),
          dk: target(grads.k, keys, type),
          dv: target(grads.v, keys, type),
          dposKey: optionalTarget(grads.posKey, positions, type),
          dposQuery: optionalTarget(grads.posQuery, positions, type),
        }),
      );
    },
  };
}
