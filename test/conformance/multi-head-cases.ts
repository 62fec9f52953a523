import type { Backend, Buffer } from "../../core/backend.ts";
import type { AttentionShape, Sequences } from "../../core/kernels/attention.ts";
import type { Dropout } from "../../core/kernels/elementwise.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { integers, masters } from "../helpers/upload.ts";
import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";
import { dropouts } from "./elementwise-cases.ts";

interface Variant {
  readonly note: string;
  readonly queries: readonly number[];
  /** The lengths of the keys; by default those of the queries. */
  readonly keys?: readonly number[];
  readonly heads: number;
  readonly keyHeads?: number;
  readonly headDim: number;
  readonly causal?: boolean;
  readonly window?: number;
  /** q, k and v are columns of one matrix, [q | k | v] and 3 columns more. */
  readonly fused?: boolean;
  readonly dropout?: Dropout | undefined;
  /** What scores are divided by: by default so little that a few keys get most of the probability. */
  readonly scale?: number;
}

const VARIANTS: readonly Variant[] = [
  { note: "one token", queries: [1], heads: 1, headDim: 4 },
  {
    note: "lengths around a vector width",
    queries: [1, 15, 16, 17, 31, 32, 33],
    heads: 2,
    headDim: 16,
  },
  { note: "dropout", queries: [31, 33, 1, 7], heads: 2, headDim: 32, dropout: dropouts[0] },
  { note: "odd sizes", queries: [5, 40, 3], heads: 3, headDim: 7, dropout: dropouts[1] },
  { note: "several blocks of rows", queries: [65, 130], heads: 2, headDim: 64 },
  { note: "an empty sequence", queries: [4, 0, 6], heads: 2, headDim: 8 },
  { note: "queries without keys", queries: [4, 2, 6], keys: [3, 0, 0], heads: 2, headDim: 8 },
  { note: "keys without queries", queries: [0, 5], keys: [3, 4], heads: 2, headDim: 8 },
  {
    note: "keys differ from queries",
    queries: [33, 1, 70, 7],
    keys: [9, 40, 31, 66],
    heads: 2,
    headDim: 16,
  },
  {
    note: "keys differ from queries, dropout",
    queries: [2, 31, 65],
    keys: [33, 7, 18],
    heads: 3,
    headDim: 12,
    dropout: dropouts[0],
  },
  { note: "causal", queries: [1, 2, 3, 15, 16, 17, 33], heads: 2, headDim: 16, causal: true },
  { note: "causal, several blocks", queries: [65, 130], heads: 2, headDim: 16, causal: true },
  {
    note: "causal, dropout",
    queries: [31, 33, 1, 70],
    heads: 2,
    headDim: 16,
    causal: true,
    dropout: dropouts[0],
  },
  {
    note: "causal, more keys than queries",
    queries: [1, 2, 5, 70],
    keys: [40, 33, 31, 100],
    heads: 2,
    headDim: 16,
    causal: true,
    dropout: dropouts[1],
  },
  {
    note: "causal, fewer keys than queries",
    queries: [3, 2, 70, 9],
    keys: [1, 0, 33, 4],
    heads: 2,
    headDim: 16,
    causal: true,
    dropout: dropouts[0],
  },
  { note: "few queries", queries: [4, 5, 1], keys: [50, 7, 33], heads: 2, headDim: 64 },
  { note: "few queries, odd heads", queries: [3, 8, 16], keys: [31, 0, 65], heads: 2, headDim: 23 },
  { note: "many heads", queries: [9, 8, 20], heads: 16, headDim: 8 },
  {
    note: "wide heads, dropout",
    queries: [9, 66, 0],
    keys: [70, 5, 3],
    heads: 2,
    keyHeads: 1,
    headDim: 96,
    dropout: dropouts[0],
    scale: 24, // the waves of so many columns agree: larger scores have larger rounding errors
  },
  {
    note: "widest heads, grouped",
    queries: [3, 9],
    keys: [34, 5],
    heads: 2,
    keyHeads: 1,
    headDim: 200,
    scale: 40, // as above
  },
  { note: "grouped heads", queries: [5, 65, 1, 33], heads: 4, keyHeads: 2, headDim: 16 },
  {
    note: "one key head, keys differ from queries, dropout",
    queries: [70, 1, 0, 31],
    keys: [33, 7, 4, 0],
    heads: 3,
    keyHeads: 1,
    headDim: 12,
    dropout: dropouts[0],
  },
  {
    note: "grouped heads, causal",
    queries: [2, 130],
    keys: [20, 100],
    heads: 6,
    keyHeads: 2,
    headDim: 8,
    causal: true,
  },
  {
    note: "several blocks of keys, dropout",
    queries: [40, 3],
    keys: [1100, 1025],
    heads: 2,
    headDim: 8,
    dropout: dropouts[0],
  },
  {
    note: "several blocks of keys, grouped heads",
    queries: [33],
    keys: [2100],
    heads: 2,
    keyHeads: 1,
    headDim: 8,
  },
  {
    note: "causal, several blocks of keys and groups of queries",
    queries: [1100],
    keys: [1090],
    heads: 1,
    headDim: 4,
    causal: true,
  },
  {
    note: "wide heads, several blocks of keys, grouped, dropout",
    queries: [40, 17],
    keys: [1500, 1030],
    heads: 2,
    keyHeads: 1,
    headDim: 50,
    dropout: dropouts[0],
  },
  {
    note: "wide heads, causal, several blocks of keys",
    queries: [150],
    keys: [1100],
    heads: 1,
    headDim: 64,
    causal: true,
  },
  { note: "window 0", queries: [1, 3, 65], heads: 2, headDim: 8, window: 0 },
  { note: "window 1", queries: [1, 2, 16, 17, 100], heads: 2, headDim: 16, window: 1 },
  { note: "window, few queries", queries: [3, 9, 16, 0], heads: 2, headDim: 23, window: 4 },
  { note: "window, several blocks", queries: [65, 230], heads: 1, headDim: 64, window: 33 },
  {
    note: "window, dropout",
    queries: [31, 200, 7, 129],
    heads: 2,
    headDim: 32,
    window: 21,
    dropout: dropouts[0],
  },
  {
    note: "window wider than the sequences",
    queries: [40, 200],
    heads: 2,
    headDim: 8,
    window: 500,
  },
  {
    note: "window, causal, dropout",
    queries: [5, 300],
    heads: 2,
    headDim: 16,
    window: 40,
    causal: true,
    dropout: dropouts[1],
  },
  {
    note: "window, grouped heads",
    queries: [9, 210],
    heads: 4,
    keyHeads: 2,
    headDim: 16,
    window: 64,
  },
  { note: "fused", queries: [5, 70], heads: 3, headDim: 16, fused: true },
  {
    note: "fused, grouped heads, window, dropout",
    queries: [7, 150, 0, 33],
    heads: 4,
    keyHeads: 1,
    headDim: 24,
    window: 18,
    fused: true,
    dropout: dropouts[0],
  },
];

function offsetsOf(lengths: readonly number[]): Int32Array {
  const offsets = new Int32Array(lengths.length + 1);
  lengths.forEach((n, b) => (offsets[b + 1] = offsets[b]! + n));
  return offsets;
}

function sequencesOf({ input }: Pick<Bench, "input">, lengths: readonly number[]): Sequences {
  const hostOffsets = offsetsOf(lengths);
  return {
    sequences: lengths.length,
    tokens: hostOffsets[lengths.length]!,
    offsets: input("i32", hostOffsets),
    hostOffsets,
  };
}

/** Columns of q, of k and of the matrix that holds q, k and v. */
function widthsOf({ heads, keyHeads = heads, headDim }: Variant) {
  const [ofQuery, ofKey] = [heads * headDim, keyHeads * headDim];
  return { ofQuery, ofKey, fused: ofQuery + 2 * ofKey + 3 };
}

function shapeOf(bench: Pick<Bench, "input">, v: Variant): AttentionShape {
  return {
    queries: sequencesOf(bench, v.queries),
    keys: sequencesOf(bench, v.keys ?? v.queries),
    heads: v.heads,
    keyHeads: v.keyHeads,
    headDim: v.headDim,
    scale: v.scale ?? Math.sqrt(v.headDim) / 3,
    causal: v.causal ?? false,
    window: v.window,
    rowStride: v.fused ? widthsOf(v).fused : undefined,
    dropout: v.dropout,
  };
}

type Three = Readonly<Record<"q" | "k" | "v", Buffer>>;

/** Makes q, k and v, or buffers like them: three matrices, or columns of a fused one. */
function three(
  variant: Variant,
  { queries, keys }: AttentionShape,
  backend: Backend,
  make: (name: "q" | "k" | "v" | "qkv", phase: number, length: number) => Buffer,
): Three {
  const { ofQuery, ofKey, fused } = widthsOf(variant);
  if (!variant.fused)
    return {
      q: make("q", 1, queries.tokens * ofQuery),
      k: make("k", 2, keys.tokens * ofKey),
      v: make("v", 3, keys.tokens * ofKey),
    };
  const whole = make("qkv", 4, queries.tokens * fused);
  const from = (column: number) => backend.view(whole, column, whole.length - column);
  return { q: whole, k: from(ofQuery), v: from(ofQuery + ofKey) };
}

const single = (phase: number, length: number) => wave(length, phase).map(Math.fround);

function forward(bench: Bench, variant: Variant, keep: boolean) {
  const { backend, input, output } = bench;
  const shape = shapeOf(bench, variant);
  const inputs = three(variant, shape, backend, (_, phase, length) =>
    input("activation", single(phase, length)),
  );
  const { tokens } = shape.queries;
  const out = output("out", "activation", tokens * widthsOf(variant).ofQuery);
  const logSumExp = keep ? output("logSumExp", "master", variant.heads * tokens) : undefined;
  backend.attention(inputs, { out, logSumExp }, shape);
}

/** The results of the forward kernel that backward needs, in f64. */
function forwardResults(variant: Variant) {
  const backend = createReferenceBackend();
  const shape = shapeOf({ input: (_, values) => integers(backend, values) }, variant);
  const inputs = three(variant, shape, backend, (_, phase, length) =>
    masters(backend, single(phase, length)),
  );
  const { tokens } = shape.queries;
  const out = masters(backend, new Float64Array(tokens * widthsOf(variant).ofQuery));
  const logSumExp = masters(backend, new Float64Array(variant.heads * tokens));
  backend.attention(inputs, { out, logSumExp }, shape);
  return { out: backend.download(out), logSumExp: backend.download(logSumExp) };
}

function backward(bench: Bench, variant: Variant) {
  const { backend, input, output, inOut } = bench;
  const shape = shapeOf(bench, variant);
  const { out, logSumExp } = forwardResults(variant);
  const given = {
    ...three(variant, shape, backend, (_, phase, length) =>
      input("activation", single(phase, length)),
    ),
    out: input("activation", out),
    logSumExp: input("master", logSumExp),
  };
  const grads = three(variant, shape, backend, (name, phase, length) =>
    name === "qkv" // the columns beside the gradients must stay
      ? inOut("dqkv", "activation", wave(length, phase + 5))
      : output(`d${name}`, "activation", length),
  );
  const dout = input("activation", wave(out.length, 7));
  backend.attentionBackward(dout, given, grads, shape);
}

/** Multi-head attention, forward and backward. */
export const multiHeadCases: readonly Case[] = VARIANTS.flatMap((variant): Case[] => [
  {
    name: `attention ${variant.note}`,
    entry: "attention",
    run: (bench) => forward(bench, variant, true),
  },
  {
    name: `attention ${variant.note}, logSumExp not kept`,
    entry: "attention",
    run: (bench) => forward(bench, variant, false),
  },
  {
    name: `attentionBackward ${variant.note}`,
    entry: "attentionBackward",
    run: (bench) => backward(bench, variant),
  },
]);
