import { describe, expect, test } from "bun:test";
import type { Backend, Buffer } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import type { LinearBackward, LinearIncrementBackward } from "../../../core/kernels/linears.ts";
import { masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const ROWS = 3;
const INPUTS = 4;
const shape = { rows: ROWS, inputs: INPUTS };
const SCALE = 0.7;
const dropout: Dropout = { probability: 0.4, seed: [1, 2], step: 3, site: 4 };

/** A matrix as rows of numbers. */
type Matrix = readonly (readonly number[])[];

const matrixOf = (values: ArrayLike<number>, cols: number): Matrix =>
  Array.from({ length: values.length / cols }, (_, r) =>
    Array.from(values).slice(r * cols, (r + 1) * cols),
  );
const zip = (a: Matrix, b: Matrix, f: (x: number, y: number) => number): Matrix =>
  a.map((row, r) => row.map((x, c) => f(x, b[r]![c]!)));
const transposed = (a: Matrix): Matrix => a[0]!.map((_, c) => a.map((row) => row[c]!));
const dot = (a: readonly number[], b: readonly number[]) =>
  a.reduce((sum, x, i) => sum + x * b[i]!, 0);
const times = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => transposed(b).map((col) => dot(row, col)));
const plus = (a: Matrix, b: Matrix) => zip(a, b, (x, y) => x + y);

/** Adapters of outputs `from` to `to` of a layer. */
interface Part {
  readonly from: number;
  readonly to: number;
  readonly rank: number;
  readonly svd: boolean;
  readonly dropout?: Dropout;
}
interface Layer {
  readonly outputs: number;
  readonly parts: readonly Part[];
  readonly tanh?: true;
}

const layers: readonly Layer[] = [
  { outputs: 5, parts: [{ from: 0, to: 5, rank: 2, svd: true, dropout }] },
  {
    outputs: 6,
    parts: [
      { from: 1, to: 3, rank: 2, svd: true, dropout },
      { from: 3, to: 6, rank: 3, svd: true, dropout },
    ],
    tanh: true,
  },
  { outputs: 2, parts: [], tanh: true },
  { outputs: 3, parts: [{ from: 0, to: 3, rank: 1, svd: false }], tanh: true },
];

/** The buffers of a group of layers: waves, and zeros where gradients are added. */
function groupOf(backend: Backend, group: readonly Layer[]) {
  const values = (length: number, phase: number) => masters(backend, wave(length, phase));
  const zeros = (length: number) => masters(backend, new Float64Array(length));
  const x = values(ROWS * INPUTS, 0);
  const members = group.map(({ outputs, parts, tanh }, i) => {
    const increments = parts.map(({ from, to, rank, svd, dropout: p }, j) => {
      const cols = to - from;
      return {
        a: values(rank * INPUTS, i + 2 * j + 1),
        e: svd ? values(rank, i + 2 * j + 2) : undefined,
        b: values(cols * rank, i + 2 * j + 3),
        scale: SCALE,
        rank,
        dropout: p,
        start: from,
        cols,
        h: zeros(ROWS * rank),
        da: zeros(rank * INPUTS),
        de: svd ? zeros(rank) : undefined,
        db: zeros(cols * rank),
      } satisfies LinearIncrementBackward;
    });
    const z = zeros(ROWS * outputs);
    const dy = values(ROWS * outputs, i + 7);
    return {
      weight: values(outputs * INPUTS, i + 8),
      bias: values(outputs, i + 9),
      outputs,
      increments,
      activation: tanh && ("tanh" as const),
      z,
      y: tanh ? zeros(ROWS * outputs) : z,
      dy,
      dz: tanh ? zeros(ROWS * outputs) : dy,
      dweight: zeros(outputs * INPUTS),
      dbias: zeros(outputs),
    } satisfies LinearBackward & { bias: Buffer; y: Buffer };
  });
  const dx = masters(backend, new Float64Array(ROWS * INPUTS).fill(Number.NaN));
  return { x, members, dx };
}

type Group = ReturnType<typeof groupOf>;

function callBoth(backend: Backend, { x, members, dx }: Group): void {
  backend.linears(x, members, shape);
  backend.linearsBackward(x, members, { buffer: dx, beta: 0 }, shape);
}

/** The same by the formula, one matrix product after the other. */
function byFormula(backend: Backend, { x: xBuffer, members }: Group) {
  const at = (buffer: Buffer, cols: number) => matrixOf(backend.download(buffer), cols);
  const x = at(xBuffer, INPUTS);
  const ones = masters(backend, new Float64Array(ROWS * INPUTS).fill(1));
  backend.dropout(ones, ones, ROWS, INPUTS, dropout);
  const mask = at(ones, INPUTS);
  let dx: Matrix = x.map((row) => row.map(() => 0));
  const results = members.map((member) => {
    const { outputs, increments, activation } = member;
    const weight = at(member.weight, INPUTS);
    const bias = at(member.bias, outputs)[0]!;
    let z = times(x, transposed(weight)).map((row) => row.map((v, c) => v + bias[c]!));
    for (const { a, e, b, rank, start, cols, dropout: p } of increments) {
      const h = times(p ? zip(x, mask, (v, m) => v * m) : x, transposed(at(a, INPUTS)));
      const diagonal = e ? at(e, rank)[0]! : Array<number>(rank).fill(1);
      const scaled = h.map((row) => row.map((v, i) => v * diagonal[i]! * SCALE));
      const part = times(scaled, transposed(at(b, rank)));
      z = z.map((row, r) =>
        row.map((v, c) => (c < start || c >= start + cols ? v : v + part[r]![c - start]!)),
      );
    }
    const y = activation ? z.map((row) => row.map(Math.tanh)) : z;
    const slope = (v: number) => (activation ? 1 - Math.tanh(v) ** 2 : 1);
    const dz = zip(at(member.dy, outputs), z, (g, v) => g * slope(v));
    dx = plus(dx, times(dz, weight));
    const gradients = increments.map(({ a, e, b, rank, start, cols, dropout: p }) => {
      const own = dz.map((row) => row.slice(start, start + cols));
      const [down, up] = [at(a, INPUTS), at(b, rank)];
      const input = p ? zip(x, mask, (v, m) => v * m) : x;
      const diagonal = e ? at(e, rank)[0]! : Array<number>(rank).fill(1);
      const weighted = (m: Matrix) => m.map((row) => row.map((v, i) => v * diagonal[i]! * SCALE));
      const h = times(input, transposed(down));
      const dh = times(own, up);
      const dinput = times(weighted(dh), down);
      dx = plus(dx, p ? zip(dinput, mask, (v, m) => v * m) : dinput);
      return {
        da: times(transposed(weighted(dh)), input),
        de: e && [
          transposed(zip(dh, h, (g, v) => g * v * SCALE)).map((c) =>
            dot(
              c,
              c.map(() => 1),
            ),
          ),
        ],
        db: times(transposed(own), weighted(h)),
      };
    });
    const dweight = times(transposed(dz), x);
    const dbias = [
      transposed(dz).map((c) =>
        dot(
          c,
          c.map(() => 1),
        ),
      ),
    ];
    return { y, dweight, dbias, gradients };
  });
  return { results, dx };
}

describe("linears, composed", () => {
  test("compute what their formula says", () => {
    const backend = createReferenceBackend();
    const group = groupOf(backend, layers);
    callBoth(backend, group);
    const { results, dx } = byFormula(backend, group);
    const compare = (name: string, buffer: Buffer | undefined, expected: Matrix | undefined) => {
      const got = buffer ? Array.from(backend.download(buffer)) : [];
      expect(got.length, name).toBe(expected?.flat().length ?? 0);
      got.forEach((v, i) => expect(v, `${name}[${i}]`).toBeCloseTo(expected!.flat()[i]!, 11));
    };
    group.members.forEach((member, i) => {
      const { y, dweight, dbias, gradients } = results[i]!;
      compare(`y of ${i}`, member.y, y);
      compare(`dweight of ${i}`, member.dweight, dweight);
      compare(`dbias of ${i}`, member.dbias, dbias);
      member.increments.forEach(({ da, de, db }, j) => {
        compare(`da of ${i}.${j}`, da, gradients[j]!.da);
        compare(`de of ${i}.${j}`, de, gradients[j]!.de);
        compare(`db of ${i}.${j}`, db, gradients[j]!.db);
      });
    });
    compare("dx", group.dx, dx);
  });

  test("sum in a fixed order, on which the bits of runs depend", () => {
    const backend = createReferenceBackend();
    const group = groupOf(backend, layers);
    callBoth(backend, group);
    const hash = new Bun.CryptoHasher("sha256");
    const buffers = group.members.flatMap(({ y, dweight, dbias, increments }) => [
      y,
      dweight,
      dbias,
      ...increments.flatMap(({ da, db }) => [da, db]),
    ]);
    for (const buffer of [...buffers, group.dx])
      hash.update(new Float64Array(backend.download(buffer)));
    expect(hash.digest("hex").slice(0, 16)).toBe("d7ea2836c5cc4588");
  });

  test("leave no buffer behind, not even where an entry fails", () => {
    const backend = createReferenceBackend();
    const failing = (entry: "gemm" | "addFactorGradient" | "add"): Backend => ({
      ...backend,
      [entry]: () => {
        throw new Error(`no ${entry}`);
      },
    });
    const group = groupOf(backend, layers);
    const { live } = backend.memory();
    callBoth(backend, group);
    expect(backend.memory().live).toBe(live);
    for (const entry of ["gemm", "addFactorGradient", "add"] as const) {
      expect(() => callBoth(failing(entry), group)).toThrow(`no ${entry}`);
      expect(backend.memory().live).toBe(live);
    }
  });

  test("need no more memory for a group than for its largest member", () => {
    const peakOf = (group: readonly Layer[]) => {
      const inner = createReferenceBackend();
      let [live, peak] = [0, 0];
      const backend: Backend = {
        ...inner,
        alloc(dtype, length) {
          live += length;
          peak = Math.max(peak, live);
          return inner.alloc(dtype, length);
        },
        free(buffer) {
          live -= buffer.length;
          inner.free(buffer);
        },
      };
      callBoth(backend, groupOf(inner, group));
      expect(live).toBe(0);
      return peak;
    };
    expect(peakOf(layers)).toBe(Math.max(...layers.map((layer) => peakOf([layer]))));
  });
});
