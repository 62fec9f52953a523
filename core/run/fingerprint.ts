import { createHash } from "node:crypto";
import { configToJson, type RunConfig } from "../config/run-config.ts";
import { withPlugin } from "../train/plugin-fingerprint.ts";
import type { PreparedRun } from "./prepare.ts";

/** Settings that a resumed run may change, because they do not affect its numerical results. */
const excludedSettings = new Set([
  "baseName",
  "threads",
  "device",
  "checkpointing",
  "debugSync",
  "logSteps",
  "saveSteps",
  "saveLimit",
  "evalBatchSize",
  "out",
  "plugins", // a plugin may move: the fingerprint holds the hash of its bytes
]);

/** Every setting that affects the numerical results, sorted by name. */
function fingerprintedSettings(config: RunConfig): [string, unknown][] {
  const settings = Object.entries(configToJson(config)).filter(
    ([name]) => !excludedSettings.has(name),
  );
  return settings.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Settings that prevent a run with one configuration from resuming the other; empty if none do. */
export function differingSettings(a: RunConfig, b: RunConfig): readonly string[] {
  const serialized = (config: RunConfig) =>
    new Map(fingerprintedSettings(config).map(([name, value]) => [name, JSON.stringify(value)]));
  const [first, second] = [serialized(a), serialized(b)];
  const names = new Set([...first.keys(), ...second.keys()]);
  return [...names].filter((name) => first.get(name) !== second.get(name));
}

/**
 * SHA-256 of the settings, parameter shapes, training tokens and the adapter that the run starts
 * from, followed by that of the plugin's files if the model's family is a plugin's; checkpoints
 * must match it.
 */
export function fingerprintOf({ config, train, declared, files, from }: PreparedRun): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(fingerprintedSettings(config)));
  hash.update(
    JSON.stringify([...declared.tree.parameters.values()].map(({ name, shape }) => [name, shape])),
  );
  if (from) hash.update(from.hash);
  train.digest(hash);
  return withPlugin(hash.digest("hex"), files.origin?.digest);
}
