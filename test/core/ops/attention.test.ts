import { describe, expect, test } from "bun:test";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { attention } from "../../../core/ops/attention.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { wave } from "../../helpers/wave.ts";

const [HEADS, DIM] = [2, 3];
const WIDTH = HEADS * DIM;
const mask: Dropout = { probability: 0.3, seed: [1, 2], step: 3, site: 4 };

function sequences(pass: ForwardPass, lengths: readonly number[]): Sequences {
  const hostOffsets = new Int32Array(lengths.length + 1);
  lengths.forEach((n, b) => (hostOffsets[b + 1] = hostOffsets[b]! + n));
  return {
    sequences: lengths.length,
    tokens: hostOffsets[lengths.length]!,
    offsets: pass.integers(hostOffsets),
    hostOffsets,
  };
}

interface Lengths {
  readonly queries: readonly number[];
  readonly keys: readonly number[];
}

function shapeFor(
  pass: ForwardPass,
  lengths: Lengths,
  more: Partial<AttentionShape> = {},
): AttentionShape {
  return {
    queries: sequences(pass, lengths.queries),
    keys: sequences(pass, lengths.keys),
    heads: HEADS,
    headDim: DIM,
    scale: 1.7,
    causal: false,
    dropout: undefined,
    ...more,
  };
}

const rows = (lengths: readonly number[]) =>
  [lengths.reduce((sum, n) => sum + n, 0), WIDTH] as const;

const SELF: Lengths = { queries: [3, 1, 2], keys: [3, 1, 2] };
const CROSS: Lengths = { queries: [2, 1, 3], keys: [1, 4, 2] };

describe("attention: gradients equal central differences", () => {
  const cases: readonly (readonly [note: string, Lengths, Partial<AttentionShape>])[] = [
    ["self", SELF, {}],
    ["self, causal", SELF, { causal: true }],
    ["keys differ from queries", CROSS, {}],
    ["keys differ from queries, causal", CROSS, { causal: true }],
    ["a sequence without keys", { queries: [2, 2], keys: [0, 3] }, {}],
  ];
  for (const dropout of [undefined, mask])
    for (const [note, lengths, more] of cases)
      test(`${note}${dropout ? ", dropout on" : ""}`, () =>
        gradcheck("attention", {
          inputs: { q: rows(lengths.queries), k: rows(lengths.keys), v: rows(lengths.keys) },
          build: (pass, inputs) =>
            attention(pass, inputs, { shape: shapeFor(pass, lengths, { ...more, dropout }) }),
        }));

  test("one tensor as query, key and value", () =>
    gradcheck("attention", {
      inputs: { x: rows(SELF.queries) },
      build: (pass, { x }) =>
        attention(pass, { q: x, k: x, v: x }, { shape: shapeFor(pass, SELF) }),
    }));
});

describe("attention: values", () => {
  const backend = createReferenceBackend();
  const valuesOf = (build: (pass: ForwardPass) => Tensor): number[] => {
    let out: number[] = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      out = Array.from(backend.download(build(pass).buffer));
    });
    return out;
  };
  const of = (...values: number[]) => tensor(backend, [values.length, 1], 0, values);
  const one = { heads: 1, headDim: 1, scale: 2 };

  test("by hand: two queries, two keys", () => {
    const got = valuesOf((pass) =>
      attention(
        pass,
        { q: of(1, 3), k: of(0.5, -1), v: of(10, 20) },
        { shape: shapeFor(pass, { queries: [2], keys: [2] }, one) },
      ),
    );
    const expected = (q: number) => {
      const first = 1 / (1 + Math.exp((q * -1 - q * 0.5) / 2));
      return 10 * first + 20 * (1 - first);
    };
    expect(got[0]).toBeCloseTo(expected(1), 12);
    expect(got[1]).toBeCloseTo(expected(3), 12);
  });

  test("causal: a query attends to no later key, and the last query to all keys", () => {
    const lengths = { queries: [4], keys: [4] };
    const outputs = (v: Float64Array) =>
      valuesOf((pass) =>
        attention(
          pass,
          {
            q: tensor(backend, [4, WIDTH], 0),
            k: tensor(backend, [4, WIDTH], 1),
            v: tensor(backend, [4, WIDTH], 0, v),
          },
          { shape: shapeFor(pass, lengths, { causal: true }) },
        ),
      );
    const v = wave(4 * WIDTH, 2);
    const before = outputs(v);
    expect(before.slice(0, WIDTH)).toEqual(Array.from(v.subarray(0, WIDTH)));
    const after = outputs(v.map((x, i) => (i >= 2 * WIDTH ? x + 1 : x)));
    const changed = before.map((x, i) => x !== after[i]);
    expect(changed.indexOf(true)).toBe(2 * WIDTH);
    expect(changed.slice(2 * WIDTH)).not.toContain(false);
  });

  test("causal: the last queries with all keys give the last rows of the whole", () => {
    const [q, k, v] = [0, 1, 2].map((phase) => wave(5 * WIDTH, phase));
    const attend = (from: number) =>
      valuesOf((pass) =>
        attention(
          pass,
          {
            q: tensor(backend, [5 - from, WIDTH], 0, q?.subarray(from * WIDTH)),
            k: tensor(backend, [5, WIDTH], 0, k),
            v: tensor(backend, [5, WIDTH], 0, v),
          },
          { shape: shapeFor(pass, { queries: [5 - from], keys: [5] }, { causal: true }) },
        ),
      );
    expect(attend(3)).toEqual(attend(0).slice(3 * WIDTH));
  });

  test("a query without keys gets zeros", () => {
    const got = valuesOf((pass) =>
      attention(
        pass,
        { q: of(1, 2, 3), k: of(5), v: of(7) },
        { shape: shapeFor(pass, { queries: [2, 1], keys: [0, 1] }, one) },
      ),
    );
    expect(got).toEqual([0, 0, 7]);
  });
});

describe("attention: mismatched shapes are named", () => {
  const backend = createReferenceBackend();
  const refused = (lengths: Lengths, k: readonly number[]) => () => {
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const q = tensor(backend, [6, WIDTH], 0);
      const key = tensor(backend, k, 0);
      attention(pass, { q, k: key, v: key }, { shape: shapeFor(pass, lengths) });
    });
  };
  test("q against its packing", () =>
    expect(refused({ queries: [3], keys: [3] }, [3, WIDTH])).toThrow(
      "[attention] q must be [3, 6]: got q [6, 6]",
    ));
  test("k against its packing", () =>
    expect(refused(SELF, [5, WIDTH])).toThrow(
      "[attention] k and v must be [6, 6]: got k [5, 6], v [5, 6]",
    ));
  test("sequences of queries against those of keys", () =>
    expect(refused({ queries: [6], keys: [3, 3] }, [6, WIDTH])).toThrow(
      "[attention] queries and keys must have the same number of sequences: got queries [1], keys [2]",
    ));
});
