import type { HostTensor } from "../../backend.ts";
import { openCheckpoint } from "../../io/checkpoint-files.ts";
import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { isStoredDtype, type StoredTensor } from "../../io/stored-tensor.ts";
import { matchWeights } from "../../model/load-weights.ts";
import type { BaseModel } from "./source.ts";

/** The adapter with the factors of a state dict, pruned triplets among them. */
export function fromState(
  state: ReadonlyMap<string, StoredTensor>,
  adapter: PeftAdapter,
): PeftAdapter {
  const tensor = (path: string, name: string) => {
    const found = state.get(`${path}.lora_${name}`);
    if (!found) throw new Error(`internal: ${path}.lora_${name} was not written`);
    return found;
  };
  const pair = (path: string) => ({ path, A: tensor(path, "A"), B: tensor(path, "B") });
  if (adapter.method === "lora") {
    const modules = adapter.modules.map(({ path, alpha }) => ({ ...pair(path), alpha }));
    return { ...adapter, modules };
  }
  const mask = Array.from({ length: adapter.initRank }, () => true);
  const modules = adapter.modules.map(({ path }) => ({
    ...pair(path),
    E: tensor(path, "E"),
    mask,
  }));
  return { ...adapter, modules };
}

/** The base's and the merged weight of each adapted module. */
export function weightPairs(base: BaseModel, adapter: PeftAdapter, merged: string) {
  const weightsIn = (dir: string, supplied: ReadonlySet<string>) => {
    const { tree, plugin } = base.declare();
    const { found } = matchWeights(tree, openCheckpoint(dir).tensors, plugin, dir, supplied);
    return new Map([...found].map(([{ name }, tensor]) => [name, tensor] as const));
  };
  const before = weightsIn(base.dir, new Set(adapter.saved.keys()));
  const after = weightsIn(merged, new Set());
  return (path: string) => {
    const [one, other] = [before, after].map((weights) => weights.get(`${path}.weight`));
    if (!isStored(one) || !isStored(other)) throw new Error(`internal: no weight of ${path}`);
    return { base: one, merged: other };
  };
}

// --- internal ---

const isStored = (tensor: HostTensor | undefined): tensor is StoredTensor =>
  tensor !== undefined && isStoredDtype(tensor.dtype);
