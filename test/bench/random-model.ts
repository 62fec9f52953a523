/**
 * bun test/bench/random-model.ts --out DIR [--layers 6] [--hidden 384] [--std 0.02] [--seed 0]
 * Writes a DeBERTa v3 of that size with the released vocabulary and random weights: to compare trainings where no pretrained
 * model is to be had.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { builtIn } from "../../cli/bench/checkpoints.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { deberta } from "../../plugins/deberta/index.ts";

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    layers: { type: "string", default: "6" },
    hidden: { type: "string", default: "384" },
    std: { type: "string", default: "0.02" },
    seed: { type: "string", default: "0" },
  },
});
const { out } = values;
if (out === undefined) throw new Error("--out DIR is needed");
const hidden = Number(values.hidden);

const config = {
  ...builtIn["deberta-v3-base"],
  hidden_size: hidden,
  num_hidden_layers: Number(values.layers),
  num_attention_heads: hidden / 64,
  intermediate_size: 4 * hidden,
  initializer_range: Number(values.std),
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
};

const backend = await createCpuBackend({ threads: 1 });
const { tree } = declareModel(deberta, deberta.parseConfig(config), {
  task: "classification",
  labels: 2,
});
initializeWeights(backend, tree, Number(values.seed));
const tensors = [...tree.parameters.values()].map(({ name, storedShape, buffer }) => {
  const bytes = () => new Uint8Array(Float32Array.from(backend.download(buffer)).buffer);
  return [name, { dtype: "F32", shape: storedShape, bytes }] as const;
});
mkdirSync(out, { recursive: true });
writeFileSync(join(out, "config.json"), `${JSON.stringify(config, undefined, 2)}\n`);
writeSafetensors(join(out, "model.safetensors"), new Map(tensors));
