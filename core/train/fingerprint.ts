import { createHash } from "node:crypto";
import { configToJson } from "./config.ts";
import type { PreparedRun } from "./prepare.ts";

/** Settings that may change between a run and its resumption: they do not change a number of it. */
const free = new Set([
  "threads",
  "device",
  "logSteps",
  "saveSteps",
  "saveLimit",
  "evalBatchSize",
  "out",
]);

/** Says whether a checkpoint belongs to this run: its settings and its training data, token for token. */
export function fingerprintOf({ config, train, declared }: PreparedRun): string {
  const hash = createHash("sha256");
  const settings = Object.entries(configToJson(config)).filter(([name]) => !free.has(name));
  hash.update(JSON.stringify(settings.toSorted(([a], [b]) => (a < b ? -1 : 1))));
  hash.update(
    JSON.stringify([...declared.tree.parameters.values()].map(({ name, shape }) => [name, shape])),
  );
  hash.update(train.tokens.offsets);
  hash.update(train.tokens.ids);
  if (train.labels) hash.update(train.labels);
  return hash.digest("hex");
}
