import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeSafetensors } from "../../../core/io/safetensors.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";
import { resolvePadding } from "../../../core/tasks/padded-queries.ts";

const root = mkdtempSync(join(tmpdir(), "adalora-padded-"));
afterAll(() => rmSync(root, { recursive: true }));

function modelWith(name: string, bias: readonly number[]): string {
  const dir = join(root, name);
  const tensors = new Map([
    ["layer.weight", float32Tensor([2], Float32Array.of(1, 2))],
    ["layer.bias", float32Tensor([2], Float32Array.of(0, 0))],
    ["norm.bias", float32Tensor([bias.length], Float32Array.from(bias))],
  ]);
  writeSafetensors(join(dir, "model.safetensors"), tensors);
  return dir;
}

const pretrained = modelWith("pretrained", [0, 1e-30]);
const fresh = modelWith("fresh", [0, 0]);

test("auto: padding attends to nothing, unless the model was never trained", () => {
  expect(resolvePadding("auto", pretrained)).toEqual({ paddedQueries: "zero", warnings: [] });
  expect(resolvePadding("auto", fresh)).toEqual({
    paddedQueries: "uniform",
    warnings: [expect.stringContaining("--span-padding is uniform instead of zero")],
  });
});

test("auto: nor where the layers have no biases, such as ModernBERT's", () => {
  const dir = join(root, "bias-free");
  const tensors = new Map([
    ["model.layers.0.mlp.Wi.weight", float32Tensor([2], Float32Array.of(1, 2))],
    ["decoder.bias", float32Tensor([2], Float32Array.of(3, 4))],
  ]);
  writeSafetensors(join(dir, "model.safetensors"), tensors);
  expect(resolvePadding("auto", dir)).toEqual({
    paddedQueries: "uniform",
    warnings: ["the model's layers have no biases: --span-padding is uniform instead of zero"],
  });
});

test.each(["zero", "uniform", undefined] as const)(
  "an explicit choice is kept without reading the model: %s",
  (option) => {
    expect(resolvePadding(option, "none")).toEqual({ paddedQueries: option, warnings: [] });
  },
);
