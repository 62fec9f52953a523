import { createHash } from "node:crypto";
import { configToJson, type RunConfig } from "../config/run-config.ts";
import type { PreparedRun } from "./prepare.ts";

/** Settings that may change between a run and its resumption: they do not change a number of it. */
const excludedSettings = new Set([
  "threads",
  "device",
  "checkpointing",
  "logSteps",
  "saveSteps",
  "saveLimit",
  "evalBatchSize",
  "out",
]);

/** All settings that a number of the run depends on, in a fixed order. */
function fingerprintedSettings(config: RunConfig): [string, unknown][] {
  const settings = Object.entries(configToJson(config)).filter(
    ([name]) => !excludedSettings.has(name),
  );
  return settings.toSorted(([a], [b]) => (a < b ? -1 : 1));
}

/** Names of the settings by which two configurations are different runs; none where one can resume the other. */
export function differingSettings(a: RunConfig, b: RunConfig): readonly string[] {
  const serialized = (config: RunConfig) =>
    new Map(fingerprintedSettings(config).map(([name, value]) => [name, JSON.stringify(value)]));
  const [first, second] = [serialized(a), serialized(b)];
  const names = new Set([...first.keys(), ...second.keys()]);
  return [...names].filter((name) => first.get(name) !== second.get(name));
}

/** Says whether a checkpoint belongs to this run: its settings and its training data, token for token. */
export function fingerprintOf({ config, train, declared }: PreparedRun): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify(fingerprintedSettings(config)));
  hash.update(
    JSON.stringify([...declared.tree.parameters.values()].map(({ name, shape }) => [name, shape])),
  );
  train.digest(hash);
  return hash.digest("hex");
}
