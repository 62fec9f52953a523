import { describe, expect, test } from "bun:test";
import { decomposeOn, type Decomposer } from "../../core/decomposer.ts";
import { type Svd, decomposeOnCpu } from "../../core/jacobi-svd.ts";
import type { Matrix } from "../../core/matrix.ts";
import { errors } from "../../core/errors.ts";
import { wave } from "../helpers/wave.ts";

const matrix = (rows: number, cols = rows): Matrix => ({
  rows,
  cols,
  values: Float64Array.from(wave(rows * cols, rows)),
});

/** Decomposes by a device of at most 4 rows, and the CPU; `spoil` changes the device's results. */
function decomposed(
  matrices: readonly Matrix[],
  spoil: (svd: Svd, k: number) => Svd | undefined = (svd) => svd,
) {
  const [notes, given]: [string[], number[]] = [[], []];
  const device: Decomposer = {
    limit: 4,
    decompose(some) {
      given.push(...some.map(({ rows }) => rows));
      return { by: "beads 1.0 on abacus:0", svds: decomposeOnCpu(some).map(spoil) };
    },
  };
  const svds = decomposeOn(device, (line) => void notes.push(line))(matrices);
  return { svds, notes, given };
}

describe("decomposeOn", () => {
  const matrices = [matrix(3), matrix(5), matrix(1), matrix(4), matrix(2, 3)];

  test("gives the device what it can take, the CPU the rest, and says so in one line", () => {
    const { svds, notes, given } = decomposed(matrices);
    expect(given).toEqual([3, 1, 4]);
    expect(svds).toEqual(decomposeOnCpu(matrices));
    expect(notes).toEqual([
      "singular values: beads 1.0 on abacus:0; 2 of 5 on the CPU (of a rank above 4, of a rank above the matrix's shorter side)",
    ]);
    expect(decomposed([matrix(3)]).notes).toEqual(["singular values: beads 1.0 on abacus:0"]);
  });

  const scaled = (m: Matrix, factor: number): Matrix => ({
    ...m,
    values: m.values.map((value, i) => (i === 0 ? value * factor : value)),
  });
  const spoilers: readonly (readonly [string, string, (svd: Svd) => Svd | undefined])[] = [
    ["did not converge", "not converged", () => undefined],
    ["has wrong values", "inaccurate", (svd) => ({ ...svd, s: svd.s.map((x) => x * (1 + 1e-9)) })],
    ["has wrong vectors", "inaccurate", (svd) => ({ ...svd, v: scaled(svd.v, 1.001) })],
    ["is unsorted", "inaccurate", ({ u, s, v }) => ({ u, s: s.toReversed(), v })],
    ["is not finite", "inaccurate", (svd) => ({ ...svd, s: svd.s.map(() => NaN) })],
  ];
  test.each(spoilers)("does a result again that %s", (_, reason, spoil) => {
    const { svds, notes } = decomposed(matrices, (svd, k) => (k === 2 ? spoil(svd) : svd));
    expect(svds).toEqual(decomposeOnCpu(matrices));
    expect(notes).toEqual([expect.stringContaining("on abacus:0; 3 of 5 on the CPU")]);
    expect(notes[0]).toContain(reason);
  });

  test("opens no device for nothing that it can take", () => {
    const { given, notes } = decomposed([matrix(5), matrix(0)]);
    expect(given).toEqual([]);
    expect(notes).toEqual(["singular values: on the CPU (of a rank above 4)"]);
    expect(decomposed([]).notes).toEqual([]);
    const infinite = { rows: 1, cols: 1, values: Float64Array.of(Infinity) };
    expect(decomposed([infinite]).notes).toEqual(["singular values: on the CPU (not finite)"]);
  });

  test("an error of the library leaves all to the CPU, and is the reason given", () => {
    const notes: string[] = [];
    const note = (line: string) => void notes.push(line);
    const failing = (error: Error): Decomposer => ({
      limit: 4,
      decompose() {
        throw error;
      },
    });
    const missing = errors.library("cuSOLVER", ["no libcusolver.so.12 in /a, /b"], "");
    expect(decomposeOn(failing(missing), note)(matrices)).toEqual(decomposeOnCpu(matrices));
    expect(notes).toEqual([
      "singular values: on the CPU: cannot load cuSOLVER: no libcusolver.so.12 in /a, /b",
    ]);
    expect(() => decomposeOn(failing(new TypeError("a bug")), note)(matrices)).toThrow("a bug");
  });
});
