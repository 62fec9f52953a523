import type { GemmShape } from "../../core/kernels/matrix.ts";
import type { Buffer } from "../../core/kernels/memory.ts";
import { wave } from "../helpers/wave.ts";
import type { Role } from "./bench.ts";
import type { Case } from "./cases.ts";

/**
 * Rows and columns on both sides of vector widths, row blocks and the threshold of threading.
 */
export const SIZES: readonly (readonly [rows: number, cols: number])[] = [
  [1, 1],
  [3, 5],
  [7, 15],
  [8, 16],
  [9, 31],
  [17, 32],
  [5, 33],
  [150, 222],
];

const stored = (rows: number, cols: number, stride: number) => (rows - 1) * stride + cols;

/** The dtypes of A, B and C. */
type Roles = readonly [a: Role, b: Role, c: Role];
const allActivations: Roles = ["activation", "activation", "activation"];

/**
 * The nearest values that bf16 represents exactly: rounding to bf16 changes nothing, even where
 * sums cancel.
 */
const exact = (numbers: Float64Array) => numbers.map((x) => Math.round(x * 128) / 128);

const gemm = (
  note: string,
  shape: GemmShape,
  roles: Roles = allActivations,
  rounded = (numbers: Float64Array) => numbers,
): Case => ({
  name: `gemm ${shape.m}x${shape.n}x${shape.k}${note}`,
  entry: "gemm",
  run({ backend, input, output, inOut }) {
    const { m, n, k, transA = false, transB = false, beta = 0 } = shape;
    const { lda = transA ? m : k, ldb = transB ? k : n, ldc = n } = shape;
    const [ofA, ofB, ofC] = roles;
    const a = input(ofA, wave(transA ? stored(k, m, lda) : stored(m, k, lda), 1));
    const b = input(ofB, rounded(wave(transB ? stored(n, k, ldb) : stored(k, n, ldb), 2)));
    const length = stored(m, n, ldc);
    // With a stride, the gap between rows must stay unchanged.
    const c = beta === 1 || ldc !== n ? inOut("c", ofC, wave(length, 3)) : output("c", ofC, length);
    backend.gemm(a, b, c, shape);
  },
});

const LONG_SUMS: GemmShape = { m: 66, n: 12, k: 1100, lda: 1104, ldb: 1107, ldc: 13 };
/** Both operands transposed. */
const STRIDED: GemmShape = { m: 9, n: 16, k: 12, lda: 13, ldb: 17, ldc: 48 };

const products: Case[] = [
  gemm("", { m: 1, n: 1, k: 1 }),
  gemm("", { m: 17, n: 33, k: 31 }),
  gemm(", A transposed", { m: 17, n: 33, k: 31, transA: true }),
  gemm(", B transposed", { m: 17, n: 33, k: 31, transB: true }),
  gemm(", both transposed", { m: 17, n: 33, k: 31, transA: true, transB: true }),
  gemm(", beta 1", { m: 32, n: 12, k: 64, beta: 1 }),
  gemm(", A transposed, beta 1", { m: 32, n: 12, k: 65, beta: 1, transA: true }),
  gemm(", strides", { m: 9, n: 16, k: 12, lda: 20, ldb: 48, ldc: 31 }),
  gemm(", strides, both transposed", { ...STRIDED, transA: true, transB: true }),
  gemm(", strides, both transposed, beta 1", { ...STRIDED, transA: true, transB: true, beta: 1 }),
  gemm(", B transposed, more rows", { m: 70, n: 40, k: 90, transB: true }),
  gemm(", B transposed, long sums, beta 1", { m: 270, n: 20, k: 600, transB: true, beta: 1 }),
  gemm(", narrow, long sums", { m: 66, n: 12, k: 1100 }),
  gemm(", narrow, B transposed, long sums, strides", { ...LONG_SUMS, transB: true }),
  gemm(", narrow, two vectors", { m: 25, n: 20, k: 50 }),
  gemm(", narrow, B transposed, two vectors", { m: 25, n: 32, k: 50, transB: true }),
  gemm(", over nothing", { m: 3, n: 5, k: 0 }),
  gemm(", over nothing, transposed, strides", { m: 3, n: 5, k: 0, ldc: 8, transB: true }),
  gemm(", over nothing, beta 1", { m: 3, n: 5, k: 0, beta: 1 }),
  gemm(", no rows", { m: 0, n: 5, k: 4 }),
  gemm(", one column", { m: 40, n: 1, k: 700 }),
  gemm(", one row", { m: 1, n: 40, k: 700, transB: true }),
  gemm(", threads", { m: 130, n: 200, k: 150, transB: true }),
];

/**
 * The products of linear layers and losses: adapters and the gradients of trained parameters are in
 * the master dtype.
 */
const NARROW = { m: 37, n: 12, k: 65 };
const LONG_ROWS = { m: 66, n: 32, k: 1100, lda: 1104, ldb: 1107, ldc: 33, transB: true };
const BACK = { m: 66, n: 20, k: 512 };
const GRADIENT = { m: 12, n: 65, k: 37, transA: true, beta: 1 } as const;
const mixed: Case[] = [
  gemm(", to the low-rank path", { ...NARROW, transB: true }, ["activation", "master", "master"]),
  gemm(", back to the low-rank path", NARROW, ["activation", "master", "master"]),
  gemm(", narrow, threads, strides", LONG_ROWS, ["activation", "master", "master"], exact),
  gemm(", narrow, threads", BACK, ["activation", "master", "master"], exact),
  gemm(", out of the low-rank path", NARROW, ["master", "master", "activation"]),
  gemm(", gradient of B", GRADIENT, ["activation", "master", "master"]),
  gemm(", gradient of A", GRADIENT, ["master", "activation", "master"]),
  gemm(", gradient of a trained weight", GRADIENT, ["activation", "activation", "master"]),
  gemm(", trained weight", { ...NARROW, transB: true }, ["activation", "master", "activation"]),
  gemm(", back through a trained weight", NARROW, ["activation", "master", "activation"]),
  gemm(", logits", { ...NARROW, transB: true }, ["activation", "activation", "master"]),
];

/**
 * A frozen checkpoint matrix as B, used twice: a backend may repack it.
 */
const frozen: Case[] = [
  { m: 37, n: 64, k: 192, transB: true },
  { m: 37, n: 192, k: 64 },
  { m: 1, n: 64, k: 192, transB: true, beta: 1 as const },
  { m: 130, n: 96, k: 160, beta: 1 as const },
  { m: 5, n: 3, k: 7, transB: true },
  { m: 20, n: 33, k: 1000 },
].map((shape) => ({
  name: `gemm of a frozen matrix ${shape.m}x${shape.n}x${shape.k}${shape.transB ? ", transposed" : ""}`,
  entry: "gemm",
  run({ backend, input, output, inOut }) {
    const { m, n, k, beta = 0 } = shape;
    const floats = new Float32Array(new ArrayBuffer(4 * k * n));
    floats.set(exact(wave(k * n, 2)));
    const bytes = new Uint8Array(floats.buffer);
    const tensor = { dtype: "F32", shape: [k * n], bytes };
    const matrix = backend.adopt(tensor, backend.activation);
    for (const [name, role] of [
      ["c", "activation"],
      ["sums", "master"],
    ] as const) {
      const a = input("activation", wave(m * k, 1));
      const c = beta === 1 ? inOut(name, role, wave(m * n, 3)) : output(name, role, m * n);
      backend.gemm(a, matrix, c, shape);
    }
    const other = { m: 3, n: k, k: n, transB: !shape.transB }; // the same matrix, transposed
    backend.gemm(input("activation", wave(3 * n, 4)), matrix, output("back", "activation", 3 * k), {
      ...other,
    });
  },
}));

/** E with some triplets pruned. */
const somePruned = (rank: number) => wave(rank, 7).map((x, i) => (i % 3 === 1 ? 0 : x));

/** h [rows, rank] with NaN in the columns that `somePruned` prunes, which no kernel may read. */
const holed = (h: Float64Array, rank: number) =>
  h.map((x, i) => ((i % rank) % 3 === 1 ? Number.NaN : x));

/** Rank 40 is beyond the tiles of a kernel. */
const lowRank: Case[] = SIZES.flatMap(([rows, cols]) =>
  [0, 1, 6, 12, ...(rows === 9 ? [40] : [])].flatMap((rank) =>
    [true, false].map((transposed) => {
      const withBias = (rank === 12) === transposed;
      const values = somePruned(rank);
      const note = `${transposed ? " transposed" : ""}${withBias ? " bias" : ""}`;
      return {
        name: `addLowRank ${rows}x${cols} rank ${rank}${note}`,
        entry: "addLowRank",
        run({ backend, input, inOut, output }) {
          const y = inOut("y", "activation", wave(rows * cols, 1));
          const h = input("master", wave(rows * rank, 2));
          const factor = input("master", wave(cols * rank, 3));
          const bias = withBias ? input("master", wave(cols, 4)) : undefined;
          const e = input("master", values);
          const shape = { rows, cols };
          const plain = { h, e: undefined, scale: 1, factor, transposed, rank };
          backend.addLowRank(y, plain, bias, shape);
          const holes = input("master", holed(wave(rows * rank, 2), rank));
          const increment = { ...plain, h: holes, e, scale: 1.5 };
          const raised = inOut("raised", "activation", wave(rows * cols, 5));
          const activated = output("activated", "activation", rows * cols);
          backend.addLowRank(raised, increment, bias, shape, { kind: "gelu", buffer: activated });
          const same = inOut("in place", "activation", wave(rows * cols, 6));
          backend.addLowRank(same, increment, bias, shape, { kind: "tanh", buffer: same });
          const none = input(
            "master",
            values.map(() => 0),
          );
          const pruned = inOut("all pruned", "activation", wave(rows * cols, 8));
          backend.addLowRank(pruned, { ...increment, e: none }, bias, shape);
        },
      } satisfies Case;
    }),
  ),
);

/** Includes ranks and rows beyond the block sizes of the kernels. */
const FACTORS = [
  ...SIZES.map((size) => [...size, 12] as const),
  [70, 300, 1],
  [130, 160, 40],
  [5000, 7, 3],
  [9, 31, 0],
  [0, 31, 12],
] as const;

const factorGradients: Case[] = FACTORS.flatMap(([rows, cols, rank]) =>
  [true, false].map((transposed) => ({
    name: `addFactorGradient ${rows}x${cols} rank ${rank}${transposed ? " transposed" : ""}`,
    entry: "addFactorGradient",
    run({ backend, input, inOut }) {
      const dy = input("activation", wave(rows * cols, 1));
      const h = input("master", exact(wave(rows * rank, 2)));
      const shape = { rows, cols };
      const plain = { h, e: undefined, scale: 1, transposed, rank };
      backend.addFactorGradient(dy, plain, inOut("plain", "master", wave(rank * cols, 3)), shape);
      const values = somePruned(rank);
      const holes = input("master", holed(exact(wave(rows * rank, 2)), rank));
      const some = { ...plain, h: holes, e: input("master", values), scale: 1.5 };
      backend.addFactorGradient(dy, some, inOut("some", "master", wave(rank * cols, 5)), shape);
      const none = {
        ...plain,
        e: input(
          "master",
          values.map(() => 0),
        ),
      };
      backend.addFactorGradient(dy, none, inOut("none", "master", wave(rank * cols, 6)), shape);
    },
  })),
);

/** Parts of a fused layer's output: columns from `start` of rows that are `stride` apart. */
const parts: Case[] = [
  { rows: 1, cols: 5, stride: 9, start: 4, rank: 3 },
  { rows: 9, cols: 33, stride: 99, start: 33, rank: 6 },
  { rows: 70, cols: 64, stride: 192, start: 128, rank: 12 },
  { rows: 150, cols: 222, stride: 450, start: 3, rank: 5 },
].map(({ start, rank, ...shape }) => ({
  name: `low-rank part ${shape.rows}x${shape.cols} of ${shape.stride} columns`,
  entry: "addLowRank",
  run({ backend, input, inOut }) {
    const { rows, cols, stride } = shape;
    const partOf = (buffer: Buffer) => backend.view(buffer, start, (rows - 1) * stride + cols);
    const [h, e] = [input("master", exact(wave(rows * rank, 2))), input("master", wave(rank, 3))];
    const increment = { h, e, scale: 1.5, transposed: true, rank };
    const factor = input("master", wave(cols * rank, 4));
    const y = inOut("y", "activation", wave(rows * stride, 1));
    const bias = input("master", wave(cols, 5));
    backend.addLowRank(partOf(y), { ...increment, factor }, bias, shape);
    const dy = input("activation", wave(rows * stride, 6));
    const gradient = inOut("gradient", "master", wave(cols * rank, 7));
    backend.addFactorGradient(partOf(dy), increment, gradient, shape);
  },
}));

const columns: Case[] = SIZES.flatMap(([rows, cols]): Case[] => [
  {
    name: `addBias ${rows}x${cols}`,
    entry: "addBias",
    run({ backend, input, inOut }) {
      const y = inOut("y", "activation", wave(rows * cols, 1));
      backend.addBias(y, input("master", wave(cols, 2)), rows, cols);
    },
  },
  {
    name: `addColumnSums ${rows}x${cols}`,
    entry: "addColumnSums",
    run({ backend, input, inOut }) {
      const x = input("activation", wave(rows * cols, 1));
      backend.addColumnSums(x, inOut("sum", "master", wave(cols, 2)), rows, cols);
    },
  },
  {
    name: `addColumnDots ${rows}x${cols}`,
    entry: "addColumnDots",
    run({ backend, input, inOut }) {
      const x = input("master", wave(rows * cols, 1));
      const y = input("master", wave(rows * cols, 2));
      backend.addColumnDots(x, y, 0.7, inOut("dots", "master", wave(cols, 3)), rows, cols);
    },
  },
]);

/** Matrix products and their companions. */
export const matrixCases: readonly Case[] = [
  ...products,
  ...mixed,
  ...frozen,
  ...lowRank,
  ...factorGradients,
  ...parts,
  ...columns,
];
