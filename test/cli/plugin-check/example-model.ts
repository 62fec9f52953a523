import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../../core/io/safetensors.ts";
import { elementCount, float32Tensor } from "../../../core/io/stored-tensor.ts";
import { readFamilyGolden } from "../../helpers/family-golden.ts";

/** Writes a checkpoint of an example's family: config.json and the keys of its golden, all zeros. */
export function writeExampleModel(family: string, folder: string): void {
  const { config, keys } = readFamilyGolden(family);
  mkdirSync(folder);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...config, num_labels: 3 }));
  const tensors = Object.entries(keys["classification"] ?? {}).map(([key, shape]) => {
    return [key, float32Tensor(shape, new Float32Array(elementCount(shape)))] as const;
  });
  writeSafetensors(join(folder, "model.safetensors"), new Map(tensors));
}
