import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSafetensors, writeSafetensors } from "../../../core/io/safetensors.ts";
import type { StoredTensor } from "../../../core/io/stored-tensor.ts";
import { fixture, scratchFolder } from "./scratch.ts";

/** The path of one adapted layer of the fixtures. */
export const QUERY = "deberta.encoder.layer.0.attention.self.query_proj";

/** A JSON object of a file. */
export const readJson = (path: string): Record<string, unknown> =>
  JSON.parse(readFileSync(path, "utf8"));

/** Makes folders for adapters below one that is removed after the tests of the file. */
export function adapterFolders() {
  const root = scratchFolder();
  let folderCount = 0;
  const fresh = () => join(root, `adapter-${++folderCount}`);

  /** A copy of a fixture whose config is changed. */
  function withConfig(name: string, change: Record<string, unknown>): string {
    const dir = fresh();
    cpSync(fixture(name), dir, { recursive: true });
    const path = join(dir, "adapter_config.json");
    writeFileSync(path, JSON.stringify({ ...readJson(path), ...change }));
    return dir;
  }

  /** A copy of a fixture whose tensors are changed. */
  function withTensors(name: string, change: (tensors: Map<string, StoredTensor>) => void): string {
    const dir = fresh();
    cpSync(fixture(name), dir, { recursive: true });
    const path = join(dir, "adapter_model.safetensors");
    const { tensors } = openSafetensors(path);
    change(tensors);
    writeSafetensors(path, tensors);
    return dir;
  }

  return { fresh, withConfig, withTensors };
}
