import { describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { orthogonalityResidual, product, transposed } from "../../../../core/matrix.ts";
import { toFloat64 } from "../../../../core/io/float-conversion.ts";
import type { PeftAdapter } from "../../../../core/io/peft-adapter.ts";
import { readPeftAdapter } from "../../../../core/io/peft.ts";
import { float32Tensor } from "../../../../core/io/stored-tensor.ts";
import { openTorchCheckpoint } from "../../../../core/io/torch-pickle.ts";
import { writeTorchStateDict } from "../../../../core/io/torch-writer.ts";
import { asLora, asUniformLora } from "../../../../core/model/export/as-lora.ts";
import { canonical } from "../../../../core/model/export/canonical.ts";
import { incrementOf, matrixOf, scaledA } from "../../../../core/model/export/increment.ts";
import { loralibState } from "../../../../core/model/export/loralib.ts";
import { compareIncrements } from "../../../../core/model/export/module-probe.ts";

const fixture = (name: string) =>
  readPeftAdapter(join(import.meta.dir, "../../../fixtures/io", name));
/** Ranks [1, 2, 1, 2, 1, 0, 2, 1, 1, 1, 0, 0] of an initial rank of 4. */
const adaLora = () => fixture("peft-adalora");
const lora = () => fixture("peft-lora");

const ranks = ({ modules }: PeftAdapter) => modules.map(({ A }) => A.shape[0]);

/** The adapter with no triplet at all. */
function emptied(): PeftAdapter {
  const adapter = adaLora();
  if (adapter.method !== "adalora") throw new Error("the fixture is an AdaLoRA adapter");
  const none = (rows: number, cols: number) => float32Tensor([rows, cols], new Float32Array(0));
  const modules = adapter.modules.map((module) => ({
    path: module.path,
    mask: module.mask.map(() => false),
    A: none(0, module.A.shape[1] ?? 0),
    E: none(0, 1),
    B: none(module.B.shape[0] ?? 0, 0),
  }));
  return { ...adapter, modules };
}

describe("as LoRA", () => {
  test("increments are the same, at each module's own rank, without modules of rank 0", () => {
    const converted = asLora(adaLora());
    expect(ranks(converted)).toEqual([1, 2, 1, 2, 1, 2, 1, 1, 1]);
    const { largest, scale } = compareIncrements(adaLora(), converted);
    expect(scale).toBeGreaterThan(0.1);
    expect(largest).toBeLessThan(2e-7 * Math.max(1, scale));
    expect([...converted.saved.keys()]).toEqual([...adaLora().saved.keys()]);
  });

  test("uniform: every module has the largest rank, and alpha equals it", () => {
    const converted = asUniformLora(adaLora());
    expect(new Set(ranks(converted))).toEqual(new Set([2]));
    expect(new Set(converted.modules.map(({ alpha }) => alpha))).toEqual(new Set([2]));
    const { largest, scale } = compareIncrements(adaLora(), converted);
    expect(largest).toBeLessThan(2e-7 * Math.max(1, scale));
  });

  test("uniform: a LoRA's own alphas are folded in too", () => {
    const converted = asUniformLora(lora());
    expect(new Set(converted.modules.map(({ alpha }) => alpha)).size).toBe(1);
    const { largest, scale } = compareIncrements(lora(), converted);
    expect(scale).toBeGreaterThan(0.01);
    expect(largest).toBeLessThan(2e-7 * Math.max(1, scale));
  });

  test("an adapter without any triplet keeps a pair of zeros, as PEFT needs a module", () => {
    for (const converted of [asLora(emptied()), asUniformLora(emptied())]) {
      expect(ranks(converted)).toEqual([1]);
      expect(compareIncrements(emptied(), converted)).toEqual({ largest: 0, scale: 0 });
      expect(Buffer.from(converted.modules[0]!.B.bytes).every((byte) => byte === 0)).toBe(true);
    }
  });
});

describe("canonical", () => {
  test("increments are the same to 1e-6 of their norm, with orthonormal sides and sorted E", () => {
    const before = adaLora();
    const after = canonical(before);
    for (const [i, module] of after.modules.entries()) {
      if (module.A.shape[0] === 0) continue;
      const [old, now] = [incrementOf(before, before.modules[i]!), incrementOf(after, module)];
      const [expected, got] = [old, now].map((one) => product(one.b, scaledA(one)).values);
      const norm = Math.hypot(...expected!);
      const error = Math.hypot(...expected!.map((value, k) => value - got![k]!));
      expect(error).toBeLessThan(1e-6 * norm);
      expect(orthogonalityResidual(now.b)).toBeLessThan(1e-6);
      expect(orthogonalityResidual(transposed(now.a))).toBeLessThan(1e-6);
      const e = [...(now.e ?? [])];
      expect(e).toEqual(e.toSorted((x, y) => y - x));
    }
  });

  test.each([
    ["AdaLoRA", adaLora],
    ["LoRA", lora],
  ])("changes no bit of a canonical %s adapter", (_, read) => {
    const once = canonical(read());
    const twice = canonical(once);
    expect(twice).toEqual(once);
    expect(once).not.toEqual(read());
  });
});

test("loralib's state holds every triplet in its place, zeros for pruned ones", () => {
  const adapter = adaLora();
  const dir = mkdtempSync(join(tmpdir(), "adalora-loralib-"));
  const path = join(dir, "state.pt");
  writeTorchStateDict(path, loralibState(adapter));
  const state = openTorchCheckpoint(path);
  for (const module of adapter.modules) {
    if (!("mask" in module)) throw new Error("the fixture is an AdaLoRA adapter");
    const e = matrixOf(state.get(`${module.path}.lora_E`)!);
    expect([e.rows, e.cols]).toEqual([4, 1]);
    const kept = [...e.values].map((value) => value !== 0);
    expect(kept).toEqual([...module.mask]);
    const b = matrixOf(state.get(`${module.path}.lora_B`)!);
    const columns = [0, 1, 2, 3].map((t) => [...b.values].some((x, i) => i % 4 === t && x !== 0));
    expect(columns).toEqual([...module.mask]);
    expect(toFloat64(state.get(`${module.path}.ranknum`)!)).toEqual(Float64Array.of(4));
  }
  rmSync(dir, { recursive: true });
});

test("a wrong conversion is seen", () => {
  const right = asLora(adaLora());
  const wrong = {
    ...right,
    modules: right.modules.map((one) => ({ ...one, alpha: one.alpha * 1.01 })),
  };
  expect(compareIncrements(adaLora(), wrong).largest).toBeGreaterThan(1e-3);
  const missing = { ...right, modules: right.modules.slice(1) };
  expect(compareIncrements(adaLora(), missing).largest).toBeGreaterThan(1e-3);
});
