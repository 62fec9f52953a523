import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Backend } from "../../../core/backend.ts";
import { ParameterArena } from "../../../core/optim/parameter-arena.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { generationLoss } from "../../../core/tasks/generation-loss.ts";
import { Trainer, type TrainerOptions } from "../../../core/train/trainer.ts";
import { guarded } from "../../helpers/guarded-backend.ts";
import {
  type TinyBart,
  type TinyBartOptions,
  tinyBart,
  tinyBartBatch,
} from "../../helpers/tiny-bart.ts";
import { tinyTraining } from "../../helpers/tiny-model.ts";
import { wave } from "../../helpers/wave.ts";

function trainerOf(
  backend: Backend,
  { bart, adapted: { adapters, trained } }: TinyBart,
  options: Partial<TrainerOptions> = {},
) {
  const lossOf = generationLoss(bart, { smoothing: 0.1 });
  return new Trainer(backend, { adapters, trained, lossOf }, { ...tinyTraining, ...options });
}

const namesOf = (options: TinyBartOptions) =>
  tinyBart(createReferenceBackend(), options).adapted.trained.map(({ name }) => name);

describe("what a method trains", () => {
  test("AdaLoRA: adapters of all three attentions and of the feed-forward blocks, nothing else", () => {
    const { adapted } = tinyBart(createReferenceBackend());
    expect(adapted.trained).toEqual([]);
    expect(adapted.adapters).toHaveLength(2 * (4 + 2) + 2 * (8 + 2));
  });

  test("bias terms: every .bias", () => {
    const names = namesOf({ method: "bitfit" });
    expect(names.length).toBeGreaterThan(30);
    expect(names.every((name) => name.endsWith(".bias"))).toBe(true);
  });

  test("all: everything but the constant bias of the logits, which torch keeps as a buffer", () => {
    const names = namesOf({ method: "full" });
    expect(names).toContain("model.shared.weight");
    expect(names).not.toContain("final_logits_bias");
  });
});

test("with every dropout on, the gradient of the loss equals its central difference", () => {
  const backend = createReferenceBackend();
  const config = { dropout: 0.2, attention_dropout: 0.3, activation_dropout: 0.25 };
  const { bart, adapted } = tinyBart(backend, { method: "full", config });
  const arena = new ParameterArena(backend, [], adapted.trained);
  const start = Float64Array.from(backend.download(arena.values));
  const direction = wave(start.length, 3);
  const loss = (change: number, backward: boolean) => {
    backend.upload(
      arena.values,
      start.map((x, i) => x + change * (direction[i] ?? NaN)),
    );
    let value = Number.NaN;
    const pass = new ForwardPass(backend, { training: true, seed: [3, 4], index: 5 });
    pass.scope(() => {
      const out = generationLoss(bart, { smoothing: 0.1 })(pass, tinyBartBatch([3, 0, 5]));
      value = backend.download(out.buffer)[0] ?? Number.NaN;
      if (backward) pass.tape.backward(out, 1);
    });
    return value;
  };
  const slope = (loss(1e-6, false) - loss(-1e-6, false)) / 2e-6;
  loss(0, true);
  const gradient = backend.download(arena.gradients);
  const along = direction.reduce((sum, x, i) => sum + x * (gradient[i] ?? NaN), 0);
  expect(Math.abs(slope)).toBeGreaterThan(0.1);
  expect(Math.abs(along - slope)).toBeLessThan(1e-6 * Math.abs(slope));
});

test("micro-batches are weighted by their labels, so that together they equal one batch", () => {
  const values = (batches: readonly (readonly number[])[]) => {
    const backend = createReferenceBackend();
    const trainer = trainerOf(backend, tinyBart(backend));
    let report = trainer.step(batches.map(tinyBartBatch));
    for (let step = 1; step < 3; step++) report = trainer.step(batches.map(tinyBartBatch));
    return { ...report, values: [...backend.download(trainer.arena.values)] };
  };
  const [whole, parts] = [values([[3, 0, 5, 2]]), values([[3, 0, 5], [2]])];
  expect(parts.taskLoss).toBeCloseTo(whole.taskLoss, 12);
  expect(parts.gradNorm).toBeCloseTo(whole.gradNorm, 11);
  parts.values.forEach((x, i) => expect(x).toBeCloseTo(whole.values[i] ?? NaN, 9));
});

test("a step leaks no memory, downloads once and reads no buffer otherwise", () => {
  const device = guarded(createReferenceBackend());
  const { backend } = device;
  const config = { dropout: 0.1, attention_dropout: 0.1, activation_dropout: 0.1 };
  const trainer = trainerOf(backend, tinyBart(backend, { config }));
  const losses = [trainer.step([tinyBartBatch([3, 0, 5])]).taskLoss];
  const { live } = backend.memory();
  const before = device.downloads();
  losses.push(trainer.step([tinyBartBatch([3, 0]), tinyBartBatch([5])]).taskLoss);
  expect(device.downloads() - before).toBe(1);
  expect(backend.memory().live).toBe(live);
  expect(losses.every((loss) => loss > 1)).toBe(true);
});

test("training reduces the loss", () => {
  const backend = createReferenceBackend();
  const trainer = trainerOf(backend, tinyBart(backend));
  const losses = Array.from(
    { length: 25 },
    () => trainer.step([tinyBartBatch([3, 0, 5, 2])]).taskLoss,
  );
  expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]!);
});
