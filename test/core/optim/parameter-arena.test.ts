import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ParameterArena } from "../../../core/optim/parameter-arena.ts";
import { Parameter } from "../../../core/tensor.ts";
import { masters } from "../../helpers/upload.ts";

const names = [
  "pooler.dense.bias",
  "layer.query.lora_A",
  "pooler.dense.weight",
  "layer.LayerNorm.weight",
  "layer.query.lora_B",
];

function subject() {
  const backend = createReferenceBackend();
  const make = (name: string, i: number) => {
    const parameter = new Parameter(name, name.endsWith("LayerNorm.weight") ? [2] : [2, 1]);
    parameter.buffer = masters(backend, [10 * i + 1, 10 * i + 2]);
    return parameter;
  };
  const first = [make("layer.query.lora_E", 0)];
  const rest = names.map((name, i) => make(name, i + 1));
  const before = backend.memory().live;
  return { backend, before, arena: new ParameterArena(backend, first, rest) };
}

describe("the arena", () => {
  test("E's come first, then parameters with decay, then biases and norms; each keeps its values", () => {
    const { backend, arena } = subject();
    expect(arena.parameters.map(({ name }) => name)).toEqual([
      "layer.query.lora_E",
      "layer.query.lora_A",
      "pooler.dense.weight",
      "layer.query.lora_B",
      "pooler.dense.bias",
      "layer.LayerNorm.weight",
    ]);
    expect([arena.length, arena.decayLength]).toEqual([12, 8]);
    expect(Array.from(backend.download(arena.values))).toEqual([
      1, 2, 21, 22, 31, 32, 51, 52, 11, 12, 41, 42,
    ]);
  });

  test.each<[string, number[], boolean]>([
    ["model.layers.1.attn_norm.weight", [2], false],
    ["layers.0.ln_1.weight", [2], false],
    ["attention.rel_bias", [2, 1], false],
    ["head.dense.weight", [2, 1], true],
    ["layers.0.norm_projection.weight", [1, 2], true],
    ["layers.0.query.lora_E", [2, 1], true],
  ])("%s of shape %p has decay: %p", (name, shape, decays) => {
    const backend = createReferenceBackend();
    const parameter = new Parameter(name, shape);
    parameter.buffer = masters(backend, [1, 2]);
    expect(new ParameterArena(backend, [], [parameter]).decayLength).toBe(decays ? 2 : 0);
  });

  test("parameters are views of the arena", () => {
    const { backend, arena } = subject();
    const [, a] = arena.parameters;
    if (!a?.grad) throw new Error("A is trained");
    backend.upload(a.buffer, [-1, -2]);
    backend.upload(a.grad, [5, 6]);
    expect(Array.from(backend.download(arena.values)).slice(0, 4)).toEqual([1, 2, -1, -2]);
    expect(Array.from(backend.download(arena.gradients)).slice(0, 4)).toEqual([0, 0, 5, 6]);
    expect(arena.parameters.every(({ requiresGrad }) => requiresGrad)).toBe(true);
    expect(Array.from(backend.download(arena.partOf(arena.gradients, a)))).toEqual([5, 6]);
    arena.zeroGradients();
    expect(Array.from(backend.download(a.grad))).toEqual([0, 0]);
  });

  test("gradients and moments begin at 0", () => {
    const { backend, arena } = subject();
    for (const buffer of [arena.gradients, arena.firstMoments, arena.secondMoments])
      expect(Array.from(backend.download(buffer))).toEqual(Array<number>(12).fill(0));
  });

  test("the parameters' own buffers are freed", () => {
    const { backend, before } = subject();
    expect(before).toBe(12 * 8);
    expect(backend.memory().live).toBe(4 * 12 * 8);
  });

  test("an untrained parameter has no part in the arena", () => {
    const { arena } = subject();
    expect(() => arena.partOf(arena.values, new Parameter("embeddings", [2]))).toThrow(
      "internal: embeddings is not trained",
    );
  });
});
