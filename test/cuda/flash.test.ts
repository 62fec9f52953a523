import { afterAll, beforeAll, expect, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { cudaMemoryModel } from "../../ffi/cuda/memory-model.ts";
import { runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";

/** Cases of each feature of the tensor-core kernels; together they take seconds. */
const MULTI_HEAD = [
  "odd sizes",
  "queries without keys",
  "causal, fewer keys than queries",
  "one key head, keys differ from queries, dropout",
  "wide heads, dropout",
  "window, several blocks",
  "fused, grouped heads, window, dropout",
];
const DISENTANGLED = [
  "dropout",
  "an empty sequence",
  "holes",
  "buckets",
  "posQuery only",
  "no positions",
  "dropout, first tokens",
];

const only = [
  ...MULTI_HEAD.flatMap((note) => [`attention ${note}`, `attentionBackward ${note}`]),
  ...DISENTANGLED.map((note) => `disentangledAttentionBackward ${note}`), // forward too
];

const offsets = { dtype: "i32", length: 3 } as const;

/** Sequences of these lengths, as the host knows them. */
function sequences(lengths: readonly number[]) {
  const hostOffsets = new Int32Array(lengths.length + 1);
  lengths.forEach((n, b) => (hostOffsets[b + 1] = hostOffsets[b]! + n));
  return { sequences: lengths.length, tokens: hostOffsets.at(-1)!, offsets, hostOffsets };
}

let emulated: EmulatedBackend | undefined;
const { reason } = await available(
  async () => (emulated = await createEmulatedBackend("bf16")).backend,
);
if (emulated !== undefined) {
  const { backend, control } = emulated;
  beforeAll(() => control.reset());
  afterAll(() => backend.close());
  // As in conformance.test.ts, and at both alignments: only aligned rows are copied by cp.async,
  // which lands at once in the first call and at the wait in the repeated one.
  runConformance(backend, {
    only,
    alignments: ["aligned", "odd"],
    prepare(call) {
      control.set("order", call === "first" ? 2 : 3);
      control.set("early", call === "first" ? 1 : 0);
    },
  });

  test("backward needs no memory of the order of a sequence's square, and the memory model knows", () => {
    const shape = {
      packing: { ...sequences([100, 400]), positions: offsets, span: 400 },
      queries: "all" as const,
      heads: 2,
      headDim: 64,
      scale: 1,
      relative: undefined,
      relativeRows: 0,
      dropout: undefined,
    };
    const expected = { dtype: "f32", length: 2 * 500, readsOut: true } as const;
    expect(backend.disentangledSaved(shape)).toEqual(expected);
    const model = cudaMemoryModel({ activation: "bf16", master: "f32" });
    expect(model.disentangledSaved(shape)).toEqual(expected);
    const firsts = model.disentangledSaved({ ...shape, queries: "first" });
    expect(firsts).toEqual({ ...expected, length: 2 * 2 + 2 * 2 * 64 });
  });

  test("attention is one launch forward and at most two backward, all on tensor cores", () => {
    const launches = Object.entries(control.report().kernels);
    const flash = (name: string) => name.startsWith("flash_");
    expect(launches.filter(([name]) => !flash(name))).toEqual([]);
    const total = (part: string) =>
      launches.filter(([name]) => name.includes(part)).reduce((sum, [, count]) => sum + count, 0);
    const calls = 3 * DISENTANGLED.length;
    const summed = calls - 3; // "no positions" have no tables' gradients
    expect(total("flash_disentangled")).toBe(2 * calls + summed);
    expect(total("flash_attention")).toBe(3 * 2 * MULTI_HEAD.length);
  });
} else test.skip(`the emulated cuda device agrees with the reference (${reason})`, () => {});
