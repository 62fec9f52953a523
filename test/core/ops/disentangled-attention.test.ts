import { describe, expect, test } from "bun:test";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type TokenBatch, packSequences, uploadPacking } from "../../../core/nn/packed-batch.ts";
import { paddingRows } from "../../../core/ops/padding-rows.ts";
import { disentangledAttention } from "../../../core/ops/disentangled-attention.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { wave } from "../../helpers/wave.ts";

const [HEADS, DIM, ROWS] = [2, 3, 5];
const WIDTH = HEADS * DIM;

/** Sequences of 3 tokens with holes in their positions, of 1, and of 2. */
const batch: TokenBatch = {
  ids: new Int32Array(6),
  positions: Int32Array.of(0, 1, 4, 2, 0, 1),
  offsets: Int32Array.of(0, 3, 4, 6),
};
// span 5: offsets -4 .. 4, the far ones share rows
const relative = [0, 0, 1, 1, 2, 3, 3, 4, 4];
const mask: Dropout = { probability: 0.3, seed: [1, 2], step: 3, site: 4 };

function shapeFor(pass: ForwardPass, of: TokenBatch, table: readonly number[], dropout?: Dropout) {
  return {
    packing: uploadPacking(pass, of),
    queries: "all" as const,
    heads: HEADS,
    headDim: DIM,
    scale: 2.3,
    relative: table.length > 0 ? pass.integers(table) : undefined,
    relativeRows: table.length > 0 ? ROWS : 0,
    dropout,
  };
}

const rows = [6, WIDTH] as const;
const positions = [ROWS, WIDTH] as const;

describe("disentangledAttention: gradients equal central differences", () => {
  for (const dropout of [undefined, mask]) {
    const on = dropout ? ", dropout on" : "";
    test(`content, posKey and posQuery${on}`, () =>
      gradcheck("disentangledAttention", {
        inputs: { q: rows, k: rows, v: rows, posKey: positions, posQuery: positions },
        build: (pass, inputs) =>
          disentangledAttention(pass, inputs, { shape: shapeFor(pass, batch, relative, dropout) }),
      }));

    test(`posKey only${on}`, () =>
      gradcheck("disentangledAttention", {
        inputs: { q: rows, k: rows, v: rows, posKey: positions },
        build: (pass, inputs) =>
          disentangledAttention(pass, inputs, { shape: shapeFor(pass, batch, relative, dropout) }),
      }));

    test(`posQuery only${on}`, () =>
      gradcheck("disentangledAttention", {
        inputs: { q: rows, k: rows, v: rows, posQuery: positions },
        build: (pass, inputs) =>
          disentangledAttention(pass, inputs, { shape: shapeFor(pass, batch, relative, dropout) }),
      }));

    test(`no positions${on}`, () =>
      gradcheck("disentangledAttention", {
        inputs: { q: rows, k: rows, v: rows },
        build: (pass, inputs) =>
          disentangledAttention(pass, inputs, { shape: shapeFor(pass, batch, [], dropout) }),
      }));
  }

  for (const dropout of [undefined, mask])
    test(`queries are first tokens only${dropout ? ", dropout on" : ""}`, () =>
      gradcheck("disentangledAttention", {
        inputs: { q: [3, WIDTH], k: rows, v: rows, posKey: positions, posQuery: positions },
        build: (pass, inputs) =>
          disentangledAttention(pass, inputs, {
            shape: { ...shapeFor(pass, batch, relative, dropout), queries: "first" },
          }),
      }));

  for (const queries of ["uniform", "zero"] as const)
    test(`with padding rows that attend to ${queries === "zero" ? "nothing" : "their whole sequence"}`, () =>
      gradcheck("disentangledAttention", {
        inputs: {
          q: [8, WIDTH],
          k: [8, WIDTH],
          v: [8, WIDTH],
          posKey: positions,
          posQuery: positions,
        },
        build: (pass, inputs) =>
          disentangledAttention(pass, inputs, {
            shape: shapeFor(pass, batch, relative, mask),
            padding: paddingRows(pass, batch, Int32Array.of(4, 0, 2), queries),
          }),
      }));

  test("one tensor as query, key and value", () =>
    gradcheck("disentangledAttention", {
      inputs: { x: rows, p: positions },
      build: (pass, { x, p }) =>
        disentangledAttention(
          pass,
          { q: x, k: x, v: x, posKey: p, posQuery: p },
          { shape: shapeFor(pass, batch, relative) },
        ),
    }));
});

describe("disentangledAttention: values", () => {
  const backend = createReferenceBackend();
  const valuesOf = (build: (pass: ForwardPass) => Tensor): number[] => {
    let out: number[] = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      out = Array.from(backend.download(build(pass).buffer));
    });
    return out;
  };

  test("the output of a single token is its value", () => {
    const v = tensor(backend, rows, 2);
    const got = valuesOf((pass) =>
      disentangledAttention(
        pass,
        {
          q: tensor(backend, rows, 0),
          k: tensor(backend, rows, 1),
          v,
          posKey: tensor(backend, positions, 3),
          posQuery: tensor(backend, positions, 4),
        },
        { shape: shapeFor(pass, batch, relative) },
      ),
    );
    const row = 3 * WIDTH;
    expect(got.slice(row, row + WIDTH)).toEqual(
      Array.from(backend.download(v.buffer)).slice(row, row + WIDTH),
    );
  });

  test("sequences do not attend to each other", () => {
    const attend = (values: Float64Array) => {
      const x = tensor(backend, rows, 0, values);
      const p = tensor(backend, positions, 3);
      return valuesOf((pass) =>
        disentangledAttention(
          pass,
          { q: x, k: x, v: x, posKey: p, posQuery: p },
          { shape: shapeFor(pass, batch, relative) },
        ),
      );
    };
    const changed = wave(6 * WIDTH, 0).slice();
    changed.fill(9, 3 * WIDTH, 4 * WIDTH); // the middle sequence's only row
    const [before, after] = [attend(wave(6 * WIDTH, 0)), attend(changed)];
    expect(after.slice(0, 3 * WIDTH)).toEqual(before.slice(0, 3 * WIDTH));
    expect(after.slice(4 * WIDTH)).toEqual(before.slice(4 * WIDTH));
    expect(after[3 * WIDTH]).toBe(9);
  });

  test("by hand: two tokens, one head's scores from all three terms", () => {
    const queries = "all" as const;
    const one = { queries, heads: 1, headDim: 1, scale: 2, relativeRows: 3, dropout: undefined };
    const of = (...values: number[]) => tensor(backend, [values.length, 1], 0, values);
    const [q, k, v] = [of(1, 2), of(0.5, -1), of(10, 20)];
    const [posKey, posQuery] = [of(0.1, 0.2, 0.3), of(-0.3, 0.4, 0.7)];
    // row 0: offset 0 -> table row 1, offset -1 -> row 0
    const s00 = (1 * 0.5 + 1 * 0.2 + 0.5 * 0.4) / 2;
    const s01 = (1 * -1 + 1 * 0.1 + -1 * -0.3) / 2;
    const p01 = 1 / (1 + Math.exp(s00 - s01));
    const got = valuesOf((pass) =>
      disentangledAttention(
        pass,
        { q, k, v, posKey, posQuery },
        {
          shape: {
            ...one,
            packing: uploadPacking(pass, packSequences([[7, 8]])),
            relative: pass.integers([0, 1, 2]),
          },
        },
      ),
    );
    expect(got[0]).toBeCloseTo(10 * (1 - p01) + 20 * p01, 12);
  });
});

test("a padding row attends equally to every position of its sequence, padded ones included", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const x = tensor(backend, [8, WIDTH], 0);
    const v = tensor(backend, [8, WIDTH], 1);
    const padding = paddingRows(pass, batch, Int32Array.of(4, 0, 2), "uniform");
    expect(padding?.rowOf).toEqual(Int32Array.of(6, -1, 7));
    const out = disentangledAttention(
      pass,
      { q: x, k: x, v },
      { shape: shapeFor(pass, batch, []), padding },
    );
    const [got, values] = [backend.download(out.buffer), backend.download(v.buffer)];
    const mean = (tokens: readonly number[], pad: number, times: number, c: number) =>
      (tokens.reduce((sum, r) => sum + values[r * WIDTH + c]!, 0) +
        times * values[pad * WIDTH + c]!) /
      (tokens.length + times);
    for (let c = 0; c < WIDTH; c++) {
      expect(got[6 * WIDTH + c]).toBeCloseTo(mean([0, 1, 2], 6, 4, c), 13);
      expect(got[7 * WIDTH + c]).toBeCloseTo(mean([4, 5], 7, 2, c), 13);
    }
    expect(paddingRows(pass, batch, new Int32Array(3), "uniform")).toBeUndefined();
  });
});

describe("disentangledAttention: mismatched shapes are named", () => {
  const backend = createReferenceBackend();
  const refused = (changed: { k?: readonly number[]; posKey?: readonly number[] }) => () => {
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const x = tensor(backend, rows, 0);
      const k = tensor(backend, changed.k ?? rows, 0);
      const p = tensor(backend, changed.posKey ?? positions, 0);
      disentangledAttention(
        pass,
        { q: x, k, v: x, posKey: p },
        { shape: shapeFor(pass, batch, relative) },
      );
    });
  };
  test("k against the packing", () =>
    expect(refused({ k: [5, WIDTH] })).toThrow(
      "[disentangledAttention] q must be [6, 6], k and v [6, 6]: got q [6, 6], k [5, 6], v [6, 6]",
    ));
  test("positions against the relative table", () =>
    expect(refused({ posKey: [ROWS, 4] })).toThrow(
      "[disentangledAttention] posKey must be [5, 6]: got posKey [5, 4]",
    ));
});
