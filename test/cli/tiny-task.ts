import { copyFileSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A model of DeBERTa's shape with 2 layers of width 16, and a task of 20 rows, in a new folder. */
export interface TinyTask {
  readonly folder: string;
  readonly model: string;
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

export function tinyTask(): TinyTask {
  const folder = mkdtempSync(join(tmpdir(), "adalora-tiny-"));
  copyFileSync(tinyTokenizer, join(folder, "spm.model"));
  writeFileSync(join(folder, "config.json"), JSON.stringify(tinyConfig));
  for (const [name, rows] of [
    ["train.tsv", 20],
    ["dev.tsv", 6],
  ] as const) {
    const lines = Array.from({ length: rows }, (_, i) => {
      const label = i % 2 === 0 ? "entailment" : "not_entailment";
      return `${i}\tthe cat looked at the moon\tthe ${i % 2 === 0 ? "cat" : "moon"} looked\t${label}`;
    });
    const header = "index\tsentence1\tsentence2\tlabel";
    writeFileSync(join(folder, name), [header, ...lines, ""].join("\n"));
  }
  return { folder, model: folder, data: folder };
}
