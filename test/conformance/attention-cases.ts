import type { DisentangledShape, Packing } from "../../core/kernels/attention.ts";
import type { Dropout } from "../../core/kernels/elementwise.ts";
import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";
import { dropouts } from "./elementwise-cases.ts";

type Table = (difference: number) => number;

interface Variant {
  readonly note: string;
  readonly lengths: readonly number[];
  readonly heads: number;
  readonly headDim: number;
  /** Whether positions have gaps, as under a mask with holes. */
  readonly holes?: boolean;
  /** Which of posKey and posQuery are present. */
  readonly terms?: "both" | "posKey" | "posQuery" | "none";
  readonly table?: Table;
  readonly dropout?: Dropout | undefined;
  readonly queries?: DisentangledShape["queries"];
}

const MIDDLE = 160;
const RELATIVE_ROWS = 2 * MIDDLE;

/** One row per difference. */
const straight: Table = (d) => MIDDLE + d;
/** One row per small difference, one for several large ones, as DeBERTa v3's buckets. */
const buckets: Table = (d) =>
  Math.abs(d) <= 12
    ? MIDDLE + d
    : MIDDLE + Math.sign(d) * (12 + Math.ceil(Math.log2(Math.abs(d) / 12) * 4));
/** Neither monotone nor smooth: kernels must assume nothing about a table. */
const unordered: Table = (d) => MIDDLE + (d < 0 ? -d * 3 : 20 - (d % 17));

const VARIANTS: readonly Variant[] = [
  { note: "one token", lengths: [1], heads: 1, headDim: 4 },
  { note: "lengths around a vector width", lengths: [1, 15, 16, 17, 2], heads: 2, headDim: 16 },
  { note: "dropout", lengths: [31, 33, 1, 7], heads: 2, headDim: 32, dropout: dropouts[0] },
  { note: "odd sizes", lengths: [5, 40, 3], heads: 3, headDim: 7, dropout: dropouts[1] },
  { note: "several blocks of rows", lengths: [65, 130], heads: 2, headDim: 64 },
  { note: "an empty sequence", lengths: [4, 0, 6], heads: 2, headDim: 8 },
  { note: "holes", lengths: [20, 37, 9], heads: 2, headDim: 16, holes: true },
  {
    note: "buckets",
    lengths: [70, 18],
    heads: 3,
    headDim: 16,
    table: buckets,
    dropout: dropouts[0],
  },
  { note: "buckets, holes", lengths: [50, 18], heads: 1, headDim: 16, table: buckets, holes: true },
  { note: "any table", lengths: [40, 21], heads: 2, headDim: 16, table: unordered },
  {
    note: "no positions",
    lengths: [17, 66],
    heads: 2,
    headDim: 16,
    terms: "none",
    dropout: dropouts[0],
  },
  { note: "posKey only", lengths: [17, 5, 70], heads: 2, headDim: 16, terms: "posKey" },
  { note: "posQuery only", lengths: [17, 5, 70], heads: 2, headDim: 16, terms: "posQuery" },
  { note: "wide heads", lengths: [3, 18], heads: 2, headDim: 70, dropout: dropouts[0] },
  { note: "many heads", lengths: [9, 8, 20], heads: 16, headDim: 8 },
];

function packingOf(v: Variant): {
  packing: Omit<Packing, "offsets" | "positions">;
  positions: Int32Array;
} {
  const hostOffsets = new Int32Array(v.lengths.length + 1);
  v.lengths.forEach((n, b) => (hostOffsets[b + 1] = hostOffsets[b]! + n));
  const tokens = hostOffsets[v.lengths.length]!;
  const positions = new Int32Array(tokens);
  let span = 1;
  v.lengths.forEach((n, b) => {
    for (let i = 0; i < n; i++) {
      positions[hostOffsets[b]! + i] = b + i + (v.holes ? Math.floor(i / 5) : 0);
    }
    if (n > 0) span = Math.max(span, n + (v.holes ? Math.floor((n - 1) / 5) : 0));
  });
  return { packing: { sequences: v.lengths.length, tokens, hostOffsets, span }, positions };
}

function shapeOf({ input }: Bench, v: Variant): DisentangledShape {
  const { packing, positions } = packingOf(v);
  const { table = straight, terms = "both", dropout } = v;
  const { span } = packing;
  const relative = Int32Array.from({ length: 2 * span - 1 }, (_, i) => table(i - span + 1));
  return {
    packing: {
      ...packing,
      offsets: input("i32", packing.hostOffsets),
      positions: input("i32", positions),
    },
    queries: v.queries ?? "all",
    heads: v.heads,
    headDim: v.headDim,
    scale: Math.sqrt(3 * v.headDim),
    relative: terms === "none" ? undefined : input("i32", relative),
    relativeRows: terms === "none" ? 0 : RELATIVE_ROWS,
    dropout,
  };
}

function inputsOf({ input }: Bench, v: Variant, shape: DisentangledShape) {
  const width = v.heads * v.headDim;
  const terms = v.terms ?? "both";
  const rows = (phase: number) => input("activation", wave(shape.packing.tokens * width, phase));
  const slice = (phase: number) => input("activation", wave(RELATIVE_ROWS * width, phase));
  const asking = v.queries === "first" ? shape.packing.sequences : shape.packing.tokens;
  return {
    q: input("activation", wave(asking * width, 1)),
    k: rows(2),
    v: rows(3),
    posKey: terms === "both" || terms === "posKey" ? slice(4) : undefined,
    posQuery: terms === "both" || terms === "posQuery" ? slice(5) : undefined,
  };
}

/** The forward pass; `saves` what the backend chooses, or nothing, as without a backward pass. */
function forward(bench: Bench, variant: Variant, saves: boolean) {
  const { backend } = bench;
  const shape = shapeOf(bench, variant);
  const inputs = inputsOf(bench, variant, shape);
  const out = bench.output("out", "activation", inputs.q.length);
  const { dtype, length, readsOut } = backend.disentangledSaved(shape);
  const saved = saves ? bench.scratch(dtype, length) : undefined;
  backend.disentangledAttention(inputs, { out, saved }, shape);
  return { shape, inputs, saved, out: readsOut ? out : undefined };
}

/** Forward and backward: what is saved means something to the same backend only. */
function backward(bench: Bench, variant: Variant) {
  const { shape, inputs, saved, out } = forward(bench, variant, true);
  const { input, output } = bench;
  if (!saved) return;
  const dout = input("activation", wave(inputs.q.length, 7));
  const grad = (name: string, length: number) => output(name, "activation", length);
  bench.backend.disentangledAttentionBackward(
    dout,
    inputs,
    { saved, out },
    {
      q: grad("dq", inputs.q.length),
      k: grad("dk", inputs.k.length),
      v: grad("dv", inputs.v.length),
      posKey: inputs.posKey && grad("dposKey", inputs.posKey.length),
      posQuery: inputs.posQuery && grad("dposQuery", inputs.posQuery.length),
    },
    shape,
  );
}

const firstTokens = VARIANTS.map((variant): Variant => ({
  ...variant,
  note: `${variant.note}, first tokens`,
  queries: "first",
}));

/** Disentangled attention, forward and backward. */
export const attentionCases: readonly Case[] = [...VARIANTS, ...firstTokens].flatMap(
  (variant): Case[] => [
    {
      name: `disentangledAttention ${variant.note}`,
      entry: "disentangledAttention",
      run: (bench) => forward(bench, variant, true),
    },
    {
      name: `disentangledAttention ${variant.note}, nothing saved`,
      entry: "disentangledAttention",
      run: (bench) => forward(bench, variant, false),
    },
    {
      name: `disentangledAttentionBackward ${variant.note}`,
      entry: "disentangledAttentionBackward",
      run: (bench) => backward(bench, variant),
    },
  ],
);
