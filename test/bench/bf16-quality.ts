/**
 * bun test/bench/bf16-quality.ts
 * Trains the same tiny model in f32 and in bf16 from several seeds; exit 1 if their mean losses at the end differ by more than
 * f32's do from seed to seed.
 */
import { gaussianStart, startAdapters } from "../../core/adalora/start.ts";
import type { Backend } from "../../core/backend.ts";
import { initializeWeights } from "../../core/nn/load-weights.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { normals } from "../../core/rng.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { adaptModel, declareModel } from "../../core/train/open-model.ts";
import { type LabelledBatch, Trainer } from "../../core/train/trainer.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { pluginFor } from "../../plugins/index.ts";

const config = {
  model_type: "deberta-v2",
  vocab_size: 24,
  hidden_size: 48,
  num_hidden_layers: 2,
  num_attention_heads: 3,
  intermediate_size: 96,
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
const [STEPS, LAST, BATCH] = [300, 60, 16];
const SEEDS = [1, 2, 3];

/** Random sequences that say whether their commonest half of the vocabulary is the upper one. */
function batchAt(step: number): LabelledBatch {
  const rows = Array.from({ length: BATCH }, (_, row) => {
    const draws = normals(5 + ((step + 3 * row) % 12), 1, 77, step * BATCH + row);
    return Array.from(draws, (x) => Math.floor(Math.abs(x) * 1e4) % config.vocab_size);
  });
  const isUpper = (id: number) => (id >= config.vocab_size / 2 ? 1 : -1);
  const labels = rows.map((ids) => (ids.reduce((sum, id) => sum + isUpper(id), 0) > 0 ? 1 : 0));
  return { ...packSequences(rows), labels };
}

/** The mean loss of the last steps of an AdaLoRA run that prunes half of its ranks on the way. */
function finalLoss(backend: Backend, seed: number): number {
  const plugin = pluginFor(config.model_type);
  const declared = declareModel(plugin, plugin.parseConfig(config), {
    task: "classification",
    labels: 2,
  });
  const { model, adapters, trained, tree } = adaptModel(declared, {
    method: "adalora",
    modules: null,
    rank: 4,
    alpha: 16,
    dropout: 0,
  });
  initializeWeights(backend, tree, 5);
  startAdapters(backend, adapters, gaussianStart, seed);
  const initial = 4 * adapters.length;
  const trainer = new Trainer(
    backend,
    { adapters, trained, lossOf: sequenceLoss(model, "classification") },
    {
      optimizer: { variant: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0.01 },
      learningRate: () => 3e-3,
      maxGradNorm: 1,
      orthogonality: 0.1,
      seed,
      allocator: {
        schedule: {
          initial,
          target: initial / 2,
          warmup: 30,
          finalTuning: 150,
          interval: 5,
          steps: STEPS,
        },
        beta1: 0.85,
        beta2: 0.85,
        importance: "ipt",
        semantics: "reference",
      },
    },
  );
  const losses = Array.from({ length: STEPS }, (_, i) => trainer.step([batchAt(i)]).taskLoss);
  return losses.slice(-LAST).reduce((sum, loss) => sum + loss, 0) / LAST;
}

const [wide, narrow] = [[], []] as [number[], number[]];
for (const seed of SEEDS) {
  for (const [dtype, losses] of [
    ["f32", wide],
    ["bf16", narrow],
  ] as const)
    losses.push(finalLoss(await createCpuBackend({ threads: 1, dtype }), seed));
  console.log(`seed ${seed}: f32 ${wide.at(-1)?.toFixed(4)}, bf16 ${narrow.at(-1)?.toFixed(4)}`);
}
const mean = (losses: readonly number[]) => losses.reduce((sum, x) => sum + x, 0) / losses.length;
const noise = Math.max(...wide) - Math.min(...wide);
const difference = Math.abs(mean(narrow) - mean(wide));
console.log(`means differ by ${difference.toFixed(4)}; f32's seeds by ${noise.toFixed(4)}`);
process.exitCode = difference <= noise ? 0 : 1;
