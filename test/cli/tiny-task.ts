import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { deberta } from "../../plugins/deberta/index.ts";

/** A model of DeBERTa's shape with 2 layers of width 16, and a task in RTE's files, in a new folder. */
export interface TinyTask {
  readonly folder: string;
  /** config.json, weights without heads, spm.model. */
  readonly model: string;
  /** train.tsv of 20 rows, dev.tsv of 6, test.tsv of 4. */
  readonly data: string;
}

const tinyTokenizer = join(import.meta.dir, "../fixtures/text/tiny/spm.model");

/** config.json of the model; its vocabulary is the tiny tokenizer's and more. */
const tinyConfig = {
  model_type: "deberta-v2",
  vocab_size: 512,
  hidden_size: 16,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  intermediate_size: 24,
  initializer_range: 0.3, // large: a small model with small weights says the same of every text
  max_position_embeddings: 64,
  relative_attention: true,
  position_buckets: 8,
  norm_rel_ebd: "layer_norm",
  share_att_key: true,
  pos_att_type: "p2c|c2p",
  position_biased_input: false,
  type_vocab_size: 0,
  layer_norm_eps: 1e-7,
};

/** Writes the model, with `overrides` of its config.json, and the data into a new temporary folder. */
export function tinyTask(overrides: Partial<typeof tinyConfig> = {}): TinyTask {
  const folder = mkdtempSync(join(tmpdir(), "adalora-tiny-"));
  const task = { folder, model: join(folder, "base"), data: join(folder, "data") };
  mkdirSync(task.data);
  writeTinyModel(task.model, overrides);
  writeFileSync(join(task.data, "train.tsv"), tinyRows(20));
  writeFileSync(join(task.data, "dev.tsv"), tinyRows(6));
  writeFileSync(join(task.data, "test.tsv"), tinyRows(4, { labels: false }));
  return task;
}

/** A checkpoint as pre-training leaves it: without pooler and classifier. */
export function writeTinyModel(dir: string, overrides: Partial<typeof tinyConfig> = {}): void {
  const config = { ...tinyConfig, ...overrides };
  mkdirSync(dir);
  copyFileSync(tinyTokenizer, join(dir, "spm.model"));
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
  const backend = createReferenceBackend();
  const head = { task: "classification", labels: 2 } as const;
  const { tree } = declareModel(deberta, deberta.parseConfig(config), head);
  initializeWeights(backend, tree, 7);
  const backbone = [...tree.parameters.values()].filter(({ name }) => name.startsWith("deberta."));
  const tensors = backbone.map(({ name, storedShape, buffer }) => {
    return [name, float32Tensor(storedShape, Float32Array.from(backend.download(buffer)))] as const;
  });
  writeSafetensors(join(dir, "model.safetensors"), new Map(tensors));
}

/** RTE's TSV: the class says whether the second sentence is of the cat or of the moon. */
export function tinyRows(count: number, { labels = true } = {}): string {
  const rows = Array.from({ length: count }, (_, i) => {
    const isCat = i % 2 === 0;
    const cells = [
      String(i),
      ["the cat looked at the moon", "the cat saw a moon", "a cat"][i % 3],
      `the ${isCat ? "cat" : "moon"} looked`,
      ...(labels ? [isCat ? "entailment" : "not_entailment"] : []),
    ];
    return cells.join("\t");
  });
  const header = ["index", "sentence1", "sentence2", ...(labels ? ["label"] : [])];
  return [header.join("\t"), ...rows, ""].join("\n");
}
