import { describe, expect, test } from "bun:test";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { AttentionShape, Sequences } from "../../../core/kernels/attention.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { available } from "../../helpers/available.ts";
import { integers, masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const { backend: cpu, reason } = await available(() => createCpuBackend({ threads: 1 }));

/** Enough keys for the products on AMX tiles, of a CPU that has them; a few blocks of queries. */
const [QUERIES, KEYS, DIM] = [80, 1100, 64];

const NAMES = ["out", "q", "k", "v"] as const;
type Results = Readonly<Record<(typeof NAMES)[number], Float64Array>>;

interface Inputs {
  readonly q: Float64Array;
  readonly k: Float64Array;
  readonly v: Float64Array;
  readonly dout: Float64Array;
}

/** Values of the given magnitude: 2^-spread to 2^spread of it. */
const values = (rows: number, phase: number, spread = 0, scale = 1) =>
  wave(rows * DIM, phase).map((x, i) =>
    Math.fround(x * scale * 2 ** (spread * Math.sin(i * 12.9898 + phase))),
  );

const inputsOf = (spread: number, scale = 1): Inputs => ({
  q: values(QUERIES, 1),
  k: values(KEYS, 2),
  v: values(KEYS, 3, spread),
  dout: values(QUERIES, 4, spread, scale),
});

function sequence(backend: Backend, tokens: number): Sequences {
  const hostOffsets = Int32Array.of(0, tokens);
  return { sequences: 1, tokens, hostOffsets, offsets: integers(backend, hostOffsets) };
}

/** Attention and its gradients. With a `window`, which is as wide as the keys, in plain f32. */
function attend(backend: Backend, { q, k, v, dout }: Inputs, window?: number): Results {
  const shape: AttentionShape = {
    queries: sequence(backend, QUERIES),
    keys: sequence(backend, KEYS),
    heads: 1,
    headDim: DIM,
    scale: 8,
    causal: false,
    window,
    dropout: undefined,
  };
  const upload = (x: ArrayLike<number>) => masters(backend, x);
  const inputs = { q: upload(q), k: upload(k), v: upload(v) };
  const out = upload(new Float64Array(q.length));
  const logSumExp = masters(backend, new Float64Array(QUERIES));
  backend.attention(inputs, { out, logSumExp }, shape);
  const grads = { q: upload(q), k: upload(k), v: upload(v) };
  backend.attentionBackward(upload(dout), { ...inputs, out, logSumExp }, grads, shape);
  const found = { out, ...grads };
  const read = (name: (typeof NAMES)[number]) => Float64Array.from(backend.download(found[name]));
  return { out: read("out"), q: read("q"), k: read("k"), v: read("v") };
}

/** Root mean square of the differences. */
function rms(x: Float64Array, y: Float64Array): number {
  return Math.sqrt(x.reduce((sum, value, i) => sum + (value - y[i]!) ** 2, 0) / x.length);
}

/** What kind of number it is. */
const kindOf = (x: number) => {
  if (!Number.isFinite(x)) return String(x);
  return x === 0 ? "0" : "finite";
};

function expectSameBehaviour(inputs: Inputs) {
  if (cpu === undefined) throw new Error("no backend");
  const [long, plain] = [attend(cpu, inputs), attend(cpu, inputs, KEYS)];
  for (const name of NAMES) {
    expect([...long[name]].map(kindOf)).toEqual([...plain[name]].map(kindOf));
    const finite = plain[name].filter(Number.isFinite);
    const size = Math.max(...finite.map(Math.abs));
    const differences = [...long[name]].map((x, i) => Math.abs(x - plain[name][i]!));
    expect(Math.max(...differences.filter(Number.isFinite))).toBeLessThanOrEqual(4e-6 * size);
  }
}

/** Copies `inputs` with an element of `name` replaced. */
function withElement(inputs: Inputs, name: keyof Inputs, at: number, value: number): Inputs {
  const changed = inputs[name].slice();
  changed[at] = Math.fround(value);
  return { ...inputs, [name]: changed };
}

describe.skipIf(cpu === undefined)(
  `attention over many keys${reason ? ` (${reason})` : ""}`,
  () => {
    test.each([
      ["of like magnitudes", 0],
      ["of magnitudes from 2^-24 to 2^24", 24],
    ])("values %s have no larger errors than in plain f32", (_, spread) => {
      if (cpu === undefined) return;
      const inputs = inputsOf(spread);
      const exact = attend(createReferenceBackend(), inputs);
      const [long, plain] = [attend(cpu, inputs), attend(cpu, inputs, KEYS)];
      for (const name of NAMES)
        expect(rms(long[name], exact[name])).toBeLessThan(1.2 * rms(plain[name], exact[name]));
    });

    test("tiny gradients keep their precision, subnormal ones too", () => {
      expectSameBehaviour(inputsOf(0, 1e-30));
      expectSameBehaviour(inputsOf(0, 1e-36));
    });

    test("products of small gradients and small queries or keys keep their precision", () => {
      const inputs = inputsOf(0, 1e-19);
      const small = (x: Float64Array) => x.map((value) => Math.fround(value * 1e-13));
      expectSameBehaviour({ ...inputs, q: small(inputs.q) });
      expectSameBehaviour({ ...inputs, k: small(inputs.k) });
    });

    test.each([
      ["q", NaN],
      ["k", Infinity],
      ["k", 1e30],
      ["v", -Infinity],
      ["v", NaN],
      ["v", 3e38],
      ["dout", Infinity],
      ["dout", 1e-41],
      ["dout", 1e30],
    ] as const)("an element of %s that is %d spreads as in plain f32", (name, value) => {
      const rows = name === "q" || name === "dout" ? QUERIES : KEYS;
      expectSameBehaviour(withElement(inputsOf(0), name, (rows - 7) * DIM + 5, value));
    });
  },
);
