import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { fixtures } from "../core/text/fixtures.ts";
import { readFamilyGolden } from "./family-golden.ts";

/** The tokenizers' folders, files and sizes. */
const tokenizers = {
  bert: { folder: "tiny-bert", files: ["vocab.txt"], size: 646 },
  bart: { folder: "tiny-bart", files: ["vocab.json", "merges.txt"], size: 271 },
} as const;

/** Writes a tiny pretrained checkpoint of an example's family, without a head, into a new folder. */
export function writeExampleFolder(dir: string, plugin: ModelPlugin): void {
  const { folder, files, size } = tokenizers[plugin.name === "roberta" ? "bart" : "bert"];
  mkdirSync(dir);
  for (const file of files) copyFileSync(join(fixtures, folder, file), join(dir, file));
  const sizes = { vocab_size: size, max_position_embeddings: 66, initializer_range: 0.3 };
  const raw = { ...readFamilyGolden(plugin.name).config, ...sizes };
  writeFileSync(join(dir, "config.json"), JSON.stringify(raw));
  const backend = createReferenceBackend();
  const { tree } = declareModel(plugin, plugin.parseConfig(raw), { task: "span", labels: 2 });
  initializeWeights(backend, tree, 7);
  const stored = [...tree.parameters.values()].filter(({ name }) => !name.startsWith("qa_outputs"));
  const tensors = stored.map(({ name, shape, buffer }) => {
    // Biases are 0.1, as pretraining would leave none at zero.
    const values = Float32Array.from(backend.download(buffer), (value) =>
      name.endsWith("bias") ? 0.1 : value,
    );
    return [name, float32Tensor(shape, values)] as const;
  });
  writeSafetensors(join(dir, "model.safetensors"), new Map(tensors));
}
