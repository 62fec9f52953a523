import { adaloraAllocator } from "../../core/adalora/allocators/adalora.ts";
import { startAdapters } from "../../core/adalora/start.ts";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { adaptModel, declareModel } from "../../core/model/open-model.ts";
import { Trainer } from "../../core/train/trainer.ts";
import { builtInFamilies } from "../../plugins/index.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";

/** A DeBERTa with every part of a real one, small enough for the reference backend. */
const config = {
  model_type: "deberta-v2",
  vocab_size: 64,
  hidden_size: 32,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 48,
  initializer_range: 0.2,
  relative_attention: true,
  position_buckets: 8,
  max_position_embeddings: 32,
  pos_att_type: "p2c|c2p",
  share_att_key: true,
  norm_rel_ebd: "layer_norm",
  position_biased_input: false,
  type_vocab_size: 0,
};

/** Largest allowed relative difference of f32 from f64; a wrong kernel is off by about 1. */
export const allowedDifference = 1e-3;

/**
 * Runs two AdaLoRA steps on a tiny model, the second of which prunes, on a backend and on the
 * reference. Returns the largest difference of losses and gradients, relative to the largest
 * gradient of the same parameter, or 1 where different triplets are kept.
 */
export function selfTest(backend: Backend): number {
  const [expected, got] = [resultsOf(createReferenceBackend()), resultsOf(backend)];
  return Math.max(...expected.map((numbers, i) => relativeDifference(numbers, got[i] ?? [])));
}

// --- internal ---

const seed = 3;
const lengths = [17, 5, 9, 1];

/** The losses of two steps, the gradients of the second by parameter, and the triplets it kept. */
function resultsOf(backend: Backend): ArrayLike<number>[] {
  const trainer = tinyTrainer(backend);
  const sequences = lengths.map((length, row) =>
    Array.from({ length }, (_, i) => (7 * i + 11 * row) % config.vocab_size),
  );
  const batch = { ...packSequences(sequences), labels: [0, 1, 1, 0] };
  const losses = [trainer.step([batch]), trainer.step([batch])].map(({ taskLoss }) => taskLoss);
  const { parameters, gradients } = trainer.arena;
  const gradientsOf = parameters.map((p) => backend.download(trainer.arena.partOf(gradients, p)));
  return [losses, ...gradientsOf, trainer.kept().flat().map(Number)];
}

function tinyTrainer(backend: Backend): Trainer {
  const { plugin } = builtInFamilies.familyOf(config.model_type);
  const dropout = { hidden: 0.1, attention: 0.1, head: 0.1 };
  const head = { task: "classification", labels: 2, dropout } as const;
  const declared = declareModel(plugin, plugin.parseConfig(config), head);
  const adapted = adaptModel(declared, {
    method: "adalora",
    modules: null,
    rank: 4,
    alpha: 8,
    dropout: 0,
  });
  const { model, adapters, trained, tree } = adapted;
  initializeWeights(backend, tree, seed);
  startAdapters(backend, adapters, paperValues, seed);
  // E = 0 would leave A and B without a gradient
  for (const { e } of adapters) if (e) backend.upload(e.buffer, [0.5, -0.4, 0.3, 0.2]);
  const ranks = 4 * adapters.length;
  return new Trainer(
    backend,
    { adapters, trained, lossOf: sequenceLoss(model, "classification") },
    {
      optimizer: { variant: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
      learningRate: () => 1e-3,
      maxGradNorm: 1,
      orthogonality: 0.1,
      seed,
      allocator: {
        rule: adaloraAllocator,
        schedule: {
          initial: ranks,
          target: ranks / 2,
          warmup: 0,
          finalTuning: 0,
          interval: 1,
          steps: 2,
        },
        beta1: 0.85,
        beta2: 0.85,
        importance: "ipt",
        semantics: "reference",
      },
    },
  );
}

function relativeDifference(expected: ArrayLike<number>, got: ArrayLike<number>): number {
  let [difference, largest] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    const distance = Math.abs(expected[i]! - (got[i] ?? Number.NaN));
    if (!(distance <= difference)) difference = distance; // NaN too
    largest = Math.max(largest, Math.abs(expected[i]!));
  }
  return largest === 0 ? difference : difference / largest;
}
