import { expect, test } from "bun:test";
import type { Backend } from "../../../core/backend.ts";
import { createCountingBackend } from "../../../core/backend/counting.ts";
import type { AdaptedModel } from "../../../core/model/open-model.ts";
import { generationLoss } from "../../../core/tasks/generation-loss.ts";
import { Trainer } from "../../../core/train/trainer.ts";
import { tinyBart, tinyBartBatch } from "../../helpers/tiny-bart.ts";
import {
  tinyAllocator,
  tinyBatch,
  tinyModel,
  tinyTrainer,
  tinyTraining,
} from "../../helpers/tiny-model.ts";
import { tinyModernBert } from "../../helpers/tiny-modernbert.ts";
import { watched } from "../../helpers/watched-backend.ts";

/**
 * Calls of one step, of which a device makes one launch or few each. Allocations launch nothing.
 */
type Calls = Readonly<Record<string, number>>;

const launchesNothing = new Set(["alloc", "free", "view", "memory", "disentangledSaved"]);

function callsOf(run: (backend: Backend) => () => void): Calls {
  const calls: Record<string, number> = {};
  let counting = false;
  const onCall = (name: string) => {
    if (counting && !launchesNothing.has(name)) calls[name] = (calls[name] ?? 0) + 1;
  };
  const inner = createCountingBackend({ activation: "f32", master: "f32" });
  const step = run(watched(inner, onCall, { composed: false }));
  step(); // no mask comes before the second
  counting = true;
  step();
  return calls;
}

/** An allocator that masks at the second step. */
function allocatorOf({ adapters }: AdaptedModel) {
  const initial = adapters.reduce((sum, { rank }) => sum + rank, 0);
  const target = Math.floor(initial / 2);
  const schedule = { initial, target, warmup: 0, finalTuning: 1, interval: 1, steps: 9 };
  return { ...tinyAllocator, schedule };
}

const classifierOf =
  (create: (backend: Backend, layers: number) => AdaptedModel) => (layers: number) =>
    callsOf((backend) => {
      const adapted = create(backend, layers);
      const trainer = tinyTrainer(backend, adapted, { allocator: allocatorOf(adapted) });
      return () => void trainer.step([tinyBatch([0, 1, 2])]);
    });

const deberta = classifierOf((backend, num_hidden_layers) =>
  tinyModel(backend, { dropout: 0.2, config: { num_hidden_layers } }),
);
const modernBert = classifierOf((backend, layers) =>
  tinyModernBert(backend, { dropout: 0.2, config: { num_hidden_layers: layers } }),
);
const bart = (layers: number) =>
  callsOf((backend) => {
    const config = { encoder_layers: layers, decoder_layers: layers };
    const { bart: model, adapted } = tinyBart(backend, { config });
    const lossOf = generationLoss(model, { smoothing: 0 });
    const { adapters, trained } = adapted;
    const options = { ...tinyTraining, allocator: allocatorOf(adapted) };
    const trainer = new Trainer(backend, { adapters, trained, lossOf }, options);
    return () => void trainer.step([tinyBartBatch([0, 1, 2])]);
  });

/** What one more layer adds. */
function perLayer(of: (layers: number) => Calls): Calls {
  const [few, more] = [of(4), of(5)];
  const added = Object.entries(more).map(([name, n]) => [name, n - (few[name] ?? 0)] as const);
  return Object.fromEntries(added.filter(([, n]) => n !== 0));
}

const sum = (calls: Calls) => Object.values(calls).reduce((total, n) => total + n, 0);

test("a layer of DeBERTa adds 17 calls to a step, a base model's step is 250 at most", () => {
  expect(perLayer(deberta)).toEqual({
    dropout: 1, // of the position table, which needs no gradient
    linears: 5,
    linearsBackward: 5,
    disentangledAttention: 1,
    disentangledAttentionBackward: 1,
    addLayerNorm: 2,
    addLayerNormBackward: 2,
  });
  const base = deberta(12);
  expect(base).toMatchObject({ tripletScores: 1, keepTop: 1, applyMask: 1, download: 1 });
  expect(sum(base)).toBeLessThanOrEqual(250);
});

test("layers with one product for queries, keys and values, or with cross-attention", () => {
  expect(perLayer(modernBert)).toMatchObject({ linears: 4, linearsBackward: 4 });
  const [encoder, decoder] = [4, 7];
  const both = encoder + decoder;
  expect(perLayer(bart)).toMatchObject({ linears: both, linearsBackward: both });
});
