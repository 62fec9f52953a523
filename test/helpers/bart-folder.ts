import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { bart } from "../../plugins/bart/index.ts";
import { tinyBartDir } from "../core/text/fixtures.ts";
import { tinyBartConfig } from "./tiny-bart.ts";

/** A tiny BART's settings around the tiny tokenizer, whose tokens are mostly bytes. */
export const bartFolderConfig = {
  ...tinyBartConfig,
  vocab_size: 271,
  max_position_embeddings: 64,
  decoder_start_token_id: 2,
  eos_token_id: 2,
  pad_token_id: 1,
};

/** Writes a BART checkpoint with its tokenizer into a new folder, as pre-training leaves it: a function of its config alone. */
export function writeBart(dir: string, config: object = {}): void {
  mkdirSync(dir);
  for (const file of ["vocab.json", "merges.txt"])
    copyFileSync(join(tinyBartDir, file), join(dir, file));
  const raw = { ...bartFolderConfig, ...config };
  writeFileSync(join(dir, "config.json"), JSON.stringify(raw));
  const backend = createReferenceBackend();
  const head = { task: "generation", labels: 0 } as const;
  const { tree } = declareModel(bart, bart.parseConfig(raw), head);
  initializeWeights(backend, tree, 7);
  const stored = [...tree.parameters.values()].filter(({ constant }) => !constant);
  const tensors = stored.map(({ name, storedShape, buffer }) => {
    return [name, float32Tensor(storedShape, Float32Array.from(backend.download(buffer)))] as const;
  });
  writeSafetensors(join(dir, "model.safetensors"), new Map(tensors));
}
