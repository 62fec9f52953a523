import type { TopShape } from "../../core/kernels/decoding.ts";
import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";

/** [rows, keys per row, heads, head dim, rows of k and v] */
const CHOSEN = [
  [1, 1, 1, 1, 1],
  [3, 2, 2, 4, 5],
  [5, 33, 3, 7, 40],
  [8, 17, 2, 64, 64],
  [4, 31, 2, 80, 9],
  [32, 60, 4, 64, 300],
] as const;

const chosenRowsCases = CHOSEN.map(([rows, count, heads, headDim, keys]): Case => ({
  name: `attendChosenRows ${rows} x ${count} of ${keys}, ${heads} heads of ${headDim}`,
  entry: "attendChosenRows",
  run({ backend, input, output }) {
    const width = heads * headDim;
    const index = Int32Array.from({ length: rows * count }, (_, i) => (i * 7 + (i >> 3)) % keys);
    backend.attendChosenRows(
      {
        q: input("activation", wave(rows * width, 1)),
        k: input("activation", wave(keys * width, 2)),
        v: input("activation", wave(keys * width, 3)),
        index: input("i32", index),
      },
      output("out", "activation", rows * width),
      { rows, count, heads, headDim, scale: Math.sqrt(headDim) / 3 },
    );
  },
}));

interface Search extends Pick<TopShape, "rows" | "classes" | "count" | "normalise"> {
  readonly note: string;
  readonly logits?: readonly number[];
  readonly banned?: readonly number[];
  readonly repeated?: readonly number[];
}

const SEARCHES: readonly Search[] = [
  { note: "one class", rows: 1, classes: 1, count: 1, normalise: "before" },
  { note: "one of two", rows: 3, classes: 2, count: 1, normalise: "before" },
  { note: "all of few, in order", rows: 2, classes: 33, count: 33, normalise: "before" },
  { note: "few of many", rows: 9, classes: 6000, count: 8, normalise: "before" },
  { note: "few of many, after", rows: 9, classes: 6001, count: 16, normalise: "after" },
  {
    note: "banned classes",
    rows: 2,
    classes: 5,
    count: 2,
    normalise: "before",
    logits: [1, 2, 3, 4, 5, 9, 8, 7, 6, 5],
    banned: [0, 4, 0, 3, 1, 0],
  },
  {
    note: "banned classes, after",
    rows: 2,
    classes: 5,
    count: 2,
    normalise: "after",
    logits: [1, 2, 3, 4, 5, 9, 8, 7, 6, 5],
    banned: [0, 4, 0, 3, 1, 0, 1, 0],
  },
  {
    note: "repeated classes, before",
    rows: 2,
    classes: 4,
    count: 3,
    normalise: "before",
    logits: [1, 2, 1.5, 0, -3, -1, -2, -1.5],
    repeated: [0, 1, 1, 1, 1, 2],
  },
  {
    note: "repeated classes, after",
    rows: 2,
    classes: 4,
    count: 3,
    normalise: "after",
    logits: [1, 2, 1.5, 0, -3, -1, -2, -1.5],
    repeated: [0, 1, 1, 1, 1, 2],
    banned: [1, 3],
  },
  {
    note: "repeated classes of many, after",
    rows: 2,
    classes: 300,
    count: 4,
    normalise: "after",
    repeated: [0, 7, 1, 299, 0, 258, 1, 0],
  },
  {
    note: "ties: the lower class first",
    rows: 1,
    classes: 70,
    count: 5,
    normalise: "before",
    logits: Array.from({ length: 70 }, (_, c) => (c % 7 === 3 ? 0 : -5)),
  },
  {
    note: "fewer classes left than requested",
    rows: 2,
    classes: 3,
    count: 3,
    normalise: "after",
    logits: [1, 2, 3, 4, 5, 6],
    banned: [0, 0, 1, 0, 1, 1, 1, 2],
  },
  {
    note: "logits that are not finite",
    rows: 3,
    classes: 3,
    count: 2,
    normalise: "before",
    logits: [1, Number.NaN, 3, 1, Infinity, 2, 1, -Infinity, 2],
  },
];

function search(bench: Bench, { logits, banned, repeated, ...rest }: Search): void {
  const { backend, input, output } = bench;
  const { rows, classes, count, normalise } = rest;
  const pairs = (list: readonly number[] | undefined) => list && input("i32", list);
  const scratch = backend.alloc(backend.master, rows * classes); // overwritten: not a result
  backend.upload(scratch, (logits ?? wave(rows * classes, 1).map((x) => x * 6)).map(Math.fround));
  backend.topLogProbabilities(
    scratch,
    input("master", logits ? new Float64Array(classes) : wave(classes, 2)),
    { ids: output("ids", "i32", rows * count), scores: output("scores", "master", rows * count) },
    {
      rows,
      classes,
      count,
      normalise,
      banned: pairs(banned),
      repeated: pairs(repeated),
      penalty: 1.5,
    },
  );
  backend.free(scratch);
}

const searchCases = SEARCHES.map((each): Case => ({
  name: `topLogProbabilities: ${each.note}`,
  entry: "topLogProbabilities",
  run: (bench) => search(bench, each),
}));

/** Kernels of decoding. */
export const decodingCases: readonly Case[] = [...chosenRowsCases, ...searchCases];
