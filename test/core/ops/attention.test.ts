import { describe, expect, test } from "bun:test";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { attention, checkAttentionShape } from "../../../core/ops/attention.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { integers } from "../../helpers/upload.ts";
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

const rows = (lengths: readonly number[], width = WIDTH) =>
  [lengths.reduce((sum, n) => sum + n, 0), width] as const;

const SELF: Lengths = { queries: [3, 1, 2], keys: [3, 1, 2] };
const LONG: Lengths = { queries: [6, 1, 4], keys: [6, 1, 4] };
const CROSS: Lengths = { queries: [2, 1, 3], keys: [1, 4, 2] };

describe("attention: gradients equal central differences", () => {
  const cases: readonly (readonly [note: string, Lengths, Partial<AttentionShape>])[] = [
    ["self", SELF, {}],
    ["self, causal", SELF, { causal: true }],
    ["keys differ from queries", CROSS, {}],
    ["keys differ from queries, causal", CROSS, { causal: true }],
    ["a sequence without keys", { queries: [2, 2], keys: [0, 3] }, {}],
    ["one key head", CROSS, { keyHeads: 1 }],
    ["window", LONG, { window: 1 }],
    ["window, causal", LONG, { window: 2, causal: true }],
    ["window, one key head", LONG, { window: 2, keyHeads: 1 }],
  ];
  for (const dropout of [undefined, mask])
    for (const [note, lengths, more] of cases)
      test(`${note}${dropout ? ", dropout on" : ""}`, () => {
        const keyRows = rows(lengths.keys, (more.keyHeads ?? HEADS) * DIM);
        gradcheck("attention", {
          inputs: { q: rows(lengths.queries), k: keyRows, v: keyRows },
          build: (pass, inputs) =>
            attention(pass, inputs, { shape: shapeFor(pass, lengths, { ...more, dropout }) }),
        });
      });

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

  /** One sequence of `n` rows, with seeds 0, 1 and 2 for q, k and v, or other values of k and v. */
  const attendOne = (
    n: number,
    more: Partial<AttentionShape>,
    given: { k?: ArrayLike<number>; v?: ArrayLike<number> } = {},
  ) =>
    valuesOf((pass) => {
      const keyWidth = (more.keyHeads ?? HEADS) * DIM;
      return attention(
        pass,
        {
          q: tensor(backend, [n, WIDTH], 0),
          k: tensor(backend, [n, keyWidth], 1, given.k),
          v: tensor(backend, [n, keyWidth], 2, given.v),
        },
        { shape: shapeFor(pass, { queries: [n], keys: [n] }, more) },
      );
    });

  test("window: a query attends to keys at most so far away, on both sides", () => {
    const before = attendOne(7, { window: 2 });
    const v = wave(7 * WIDTH, 2).map((x, i) => (Math.floor(i / WIDTH) === 3 ? x + 1 : x));
    const after = attendOne(7, { window: 2 }, { v });
    const changed = [0, 1, 2, 3, 4, 5, 6].filter((r) => before[r * WIDTH] !== after[r * WIDTH]);
    expect(changed).toEqual([1, 2, 3, 4, 5]);
  });

  test("window: as wide as the sequence it changes nothing; of 0 it returns v", () => {
    expect(attendOne(5, { window: 4 })).toEqual(attendOne(5, {}));
    expect(attendOne(5, { window: 0 })).toEqual(Array.from(wave(5 * WIDTH, 2)));
  });

  test("window: dropout's mask belongs to the key's index in its sequence", () => {
    const ones = new Float64Array(7 * DIM).fill(1);
    const k = new Float64Array(7 * DIM); // equal scores: the output counts the kept keys
    const more = { heads: 2, keyHeads: 1, dropout: mask };
    const kept = (window?: number) => attendOne(7, { ...more, window }, { k, v: ones });
    const [narrow, all] = [kept(1), kept()];
    const share = 1 / (1 - mask.probability);
    // Row 0 sees keys 0 and 1 of the 7: what it keeps is part of what it keeps without a window.
    expect(narrow[0]! * 2).toBeLessThanOrEqual(all[0]! * 7 + 1e-12);
    for (const row of [0, 1, 2, 3, 4, 5, 6]) {
      const seen = row === 0 || row === 6 ? 2 : 3;
      const count = (narrow[row * WIDTH]! * seen) / share;
      expect(count).toBeCloseTo(Math.round(count), 12);
    }
  });

  test("grouped heads: neighbouring query heads read one key head", () => {
    const [heads, keyHeads] = [4, 2];
    const attend = (keyHeadsGiven: number, k: ArrayLike<number>, v: ArrayLike<number>) =>
      valuesOf((pass) =>
        attention(
          pass,
          {
            q: tensor(backend, [5, heads * DIM], 0),
            k: tensor(backend, [5, keyHeadsGiven * DIM], 0, k),
            v: tensor(backend, [5, keyHeadsGiven * DIM], 0, v),
          },
          {
            shape: shapeFor(
              pass,
              { queries: [2, 3], keys: [2, 3] },
              { heads, keyHeads: keyHeadsGiven },
            ),
          },
        ),
      );
    const [k, v] = [wave(5 * keyHeads * DIM, 1), wave(5 * keyHeads * DIM, 2)];
    /** Heads 0, 0, 1, 1 of each row. */
    const repeated = (x: Float64Array) =>
      Float64Array.from({ length: 5 * heads * DIM }, (_, i) => {
        const [row, head] = [Math.floor(i / (heads * DIM)), Math.floor(i / DIM) % heads];
        return x[(row * keyHeads + Math.floor(head / 2)) * DIM + (i % DIM)]!;
      });
    expect(attend(keyHeads, k, v)).toEqual(attend(heads, repeated(k), repeated(v)));
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
  const lengthsOf = (...offsets: readonly number[]): Sequences => ({
    sequences: offsets.length - 1,
    tokens: offsets.at(-1) ?? 0,
    offsets: integers(backend, offsets),
    hostOffsets: Int32Array.from(offsets),
  });
  const sizes: AttentionShape = {
    queries: lengthsOf(0, 3, 6),
    keys: lengthsOf(0, 3, 6),
    heads: HEADS,
    headDim: DIM,
    scale: 1,
    causal: false,
    dropout: undefined,
  };
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
  test("heads that do not share key heads evenly", () =>
    expect(() => checkAttentionShape({ ...sizes, heads: 3, keyHeads: 2 })).toThrow(
      "3 heads of queries do not share 2 heads of keys evenly",
    ));
  test("half a head of keys, which would crash a kernel", () =>
    expect(() => checkAttentionShape({ ...sizes, heads: 2, keyHeads: 0.5 })).toThrow(
      "2 heads of queries do not share 0.5 heads of keys evenly",
    ));
  test("a window over other keys than the queries'", () =>
    expect(() => checkAttentionShape({ ...sizes, keys: lengthsOf(0, 4, 6), window: 1 })).toThrow(
      "a window needs as many keys as queries in each sequence",
    ));
  test("a window of half a key", () =>
    expect(() => checkAttentionShape({ ...sizes, window: 0.5 })).toThrow("a window of 0.5 keys"));
  test("sequences of queries against those of keys", () =>
    expect(refused({ queries: [6], keys: [3, 3] }, [6, WIDTH])).toThrow(
      "[attention] queries and keys must have the same number of sequences: got queries [1], keys [2]",
    ));
});
