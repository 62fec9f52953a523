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
  readonly headDim: number;
  readonly causal?: boolean;
  readonly dropout?: Dropout | undefined;
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

function shapeOf(bench: Pick<Bench, "input">, v: Variant): AttentionShape {
  return {
    queries: sequencesOf(bench, v.queries),
    keys: sequencesOf(bench, v.keys ?? v.queries),
    heads: v.heads,
    headDim: v.headDim,
    scale: Math.sqrt(v.headDim) / 3,
    causal: v.causal ?? false,
    dropout: v.dropout,
  };
}

function numbersOf({ queries, keys, heads, headDim }: AttentionShape) {
  const width = heads * headDim;
  const single = (numbers: Float64Array) => numbers.map(Math.fround);
  return {
    q: single(wave(queries.tokens * width, 1)),
    k: single(wave(keys.tokens * width, 2)),
    v: single(wave(keys.tokens * width, 3)),
  };
}

function forward(bench: Bench, variant: Variant, keep: boolean) {
  const { input, output } = bench;
  const shape = shapeOf(bench, variant);
  const { q, k, v } = numbersOf(shape);
  const inputs = {
    q: input("activation", q),
    k: input("activation", k),
    v: input("activation", v),
  };
  const out = output("out", "activation", q.length);
  const rows = variant.heads * shape.queries.tokens;
  const logSumExp = keep ? output("logSumExp", "master", rows) : undefined;
  bench.backend.attention(inputs, { out, logSumExp }, shape);
}

/** The results of the forward kernel that backward needs, in f64. */
function forwardResults(variant: Variant) {
  const backend = createReferenceBackend();
  const shape = shapeOf({ input: (_, values) => integers(backend, values) }, variant);
  const { q, k, v } = numbersOf(shape);
  const out = masters(backend, q);
  const logSumExp = masters(backend, new Float64Array(variant.heads * shape.queries.tokens));
  const inputs = { q: masters(backend, q), k: masters(backend, k), v: masters(backend, v) };
  backend.attention(inputs, { out, logSumExp }, shape);
  return { out: backend.download(out), logSumExp: backend.download(logSumExp) };
}

function backward(bench: Bench, variant: Variant) {
  const { input, output } = bench;
  const shape = shapeOf(bench, variant);
  const { q, k, v } = numbersOf(shape);
  const { out, logSumExp } = forwardResults(variant);
  const given = {
    q: input("activation", q),
    k: input("activation", k),
    v: input("activation", v),
    out: input("activation", out),
    logSumExp: input("master", logSumExp),
  };
  const grads = {
    q: output("dq", "activation", q.length),
    k: output("dk", "activation", k.length),
    v: output("dv", "activation", v.length),
  };
  const dout = input("activation", wave(q.length, 7));
  bench.backend.attentionBackward(dout, given, grads, shape);
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
