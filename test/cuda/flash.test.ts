import { afterAll, beforeAll, expect, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { cudaMemoryModel } from "../../ffi/cuda/memory-model.ts";
import { runOn } from "../conformance/bench.ts";
import { cases } from "../conformance/cases.ts";
import { available } from "../helpers/available.ts";

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

  /** The launches of a conformance case, which computes nothing. */
  function launchesOf(name: string): readonly string[] {
    control.reset();
    control.set("compute", 0);
    const found = cases.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no case is called ${name}`);
    runOn(backend, found.run);
    const { kernels } = control.report();
    control.set("compute", 1);
    return Object.entries(kernels).flatMap(([kernel, count]) => Array(count).fill(kernel));
  }

  test.each([
    ["attention fused, grouped heads, window, dropout", ["flash_attention_64"]],
    ["attentionBackward fused, grouped heads, window, dropout", ["flash_attention_backward_64"]],
    ["attention wide heads, dropout", ["flash_attention_128"]],
    ["attentionBackward wide heads, dropout", ["flash_attention_backward_128"]],
    ["disentangledAttention buckets", ["flash_disentangled"]],
    [
      "disentangledAttentionBackward buckets", // and forward, of which it needs the results
      ["flash_disentangled", "flash_disentangled_add_windows", "flash_disentangled_backward"],
    ],
    [
      "disentangledAttentionBackward no positions",
      ["flash_disentangled", "flash_disentangled_backward"],
    ],
  ])("%s is on tensor cores, in few launches", (name, expected) => {
    expect(launchesOf(name).toSorted()).toEqual(expected);
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
} else test.skip(`attention in bf16 on the emulated cuda device (${reason})`, () => {});
