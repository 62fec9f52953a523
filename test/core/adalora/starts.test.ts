import { describe, expect, test } from "bun:test";
import { startAdapters } from "../../../core/adalora/start.ts";
import { loraValues } from "../../../core/adalora/starts/lora.ts";
import { paperValues } from "../../../core/adalora/starts/paper.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Method } from "../../../core/config/method.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { adapterScale, declareAdapter } from "../../../core/nn/adapter.ts";
import { tinyBatch, tinyModel } from "../../helpers/tiny-model.ts";

const large = { inFeatures: 400, outFeatures: 300 };
const declare = (path: string, svd: boolean) =>
  declareAdapter(path, large, { rank: 12, scale: 1, svd });

describe("AdaLoRA's start", () => {
  const adapter = declare("layer.0.query", true);
  const start = paperValues(adapter, 42);
  const valuesOf = (values: ReadonlyMap<unknown, Float32Array>, p: unknown) => {
    const found = values.get(p);
    if (!found) throw new Error("no values");
    return found;
  };

  test("E is 0", () => expect(valuesOf(start, adapter.e)).toEqual(new Float32Array(12)));

  for (const factor of ["a", "b"] as const)
    test(`${factor === "a" ? "A" : "B"} is N(0, 0.02)`, () => {
      const x = valuesOf(start, adapter[factor]);
      const mean = x.reduce((sum, v) => sum + v, 0) / x.length;
      const std = Math.sqrt(x.reduce((sum, v) => sum + (v - mean) ** 2, 0) / x.length);
      expect(Math.abs(mean)).toBeLessThan((4 * 0.02) / Math.sqrt(x.length));
      expect(Math.abs(std - 0.02)).toBeLessThan((4 * 0.02) / Math.sqrt(2 * x.length));
    });

  test("depends on seed and name alone: other adapters have no effect", () => {
    const a = valuesOf(start, adapter.a);
    const again = declare("layer.0.query", true);
    expect(valuesOf(paperValues(again, 42), again.a)).toEqual(a);
    expect(valuesOf(paperValues(again, 43), again.a)).not.toEqual(a);
    const other = declare("layer.1.query", true);
    expect(valuesOf(paperValues(other, 42), other.a)).not.toEqual(a);
    expect(a.slice(0, 3600)).not.toEqual(valuesOf(start, adapter.b).slice(0, 3600));
  });
});

describe("LoRA's start", () => {
  const adapter = declare("layer.0.query", false);
  const start = loraValues(adapter, 42);

  test("B is 0, and there is no E", () => {
    expect(start.get(adapter.b)).toEqual(new Float32Array(300 * 12));
    expect(start.size).toBe(2);
  });

  test("A fills the interval of torch's kaiming_uniform, 1 / sqrt(in), evenly", () => {
    const bound = 1 / Math.sqrt(400);
    const a = start.get(adapter.a) ?? new Float32Array();
    const std = Math.sqrt(a.reduce((sum, v) => sum + v * v, 0) / a.length);
    expect(Math.max(...a.map(Math.abs))).toBeLessThanOrEqual(Math.fround(bound));
    expect(Math.max(...a)).toBeGreaterThan(0.998 * bound);
    expect(Math.min(...a)).toBeLessThan(-0.998 * bound);
    expect(Math.abs(std / (bound / Math.sqrt(3)) - 1)).toBeLessThan(4 / Math.sqrt(a.length));
  });
});

describe("LoRA's start with E", () => {
  const adapter = declare("layer.0.query", true);
  const start = loraValues(adapter, 42);

  test("E is 1, B is 0, so that A and B have LoRA's gradients from the first step", () => {
    expect(start.get(adapter.e!)).toEqual(new Float32Array(12).fill(1));
    expect(start.get(adapter.b)).toEqual(new Float32Array(300 * 12));
  });

  test("A equals LoRA's for the same seed", () => {
    const plain = declare("layer.0.query", false);
    expect(start.get(adapter.a)).toEqual(loraValues(plain, 42).get(plain.a));
  });
});

describe("training starts from the frozen model", () => {
  const logitsOf = (method: Method) => {
    const backend = createReferenceBackend();
    const { model, adapters } = tinyModel(backend, { method });
    let logits: number[] = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      logits = Array.from(backend.download(model.forward(pass, tinyBatch([0, 1, 2, 3])).buffer));
    });
    return { logits, adapters: adapters.length };
  };
  const bare = logitsOf("bitfit");

  for (const method of ["adalora", "svd-lora", "lora", "prune-lora"] as const)
    test(`${method}: the logits are the base model's to the bit`, () => {
      const { logits, adapters } = logitsOf(method);
      expect(adapters).toBe(12);
      expect(bare.adapters).toBe(0);
      expect(logits).toEqual(bare.logits);
    });
});

test("the scale is loralib's: alpha / (r + 1e-5) with E, alpha / r without", () => {
  expect(adapterScale(16, 12, true)).toBe(16 / 12.00001);
  expect(adapterScale(16, 12, false)).toBe(16 / 12);
});

test("every factor is initialized on the device", () => {
  const backend = createReferenceBackend();
  const adapter = declare("layer.0.query", true);
  startAdapters(backend, [adapter], paperValues, 7);
  for (const [parameter, values] of paperValues(adapter, 7))
    expect(Array.from(backend.download(parameter.buffer))).toEqual(Array.from(values));
});
