import { readFileSync } from "node:fs";
import { join } from "node:path";

/** The bytes of a run's adapter. */
export const adapterBytes = (out: string) =>
  readFileSync(join(out, "adapter", "adapter_model.safetensors"));

/**
 * All that a run computed: adapter, ranks, predictions, best step and metrics, and the log but for
 * times and memory. `spent` holds those.
 */
export function runResults(out: string) {
  const text = (name: string) => readFileSync(join(out, name), "utf8");
  const { seconds, time, peak_memory: memory, ...metrics } = JSON.parse(text("metrics.json"));
  const results = {
    adapter: adapterBytes(out).toString("hex"),
    ranks: text("rank_pattern.json"),
    predictions: text("predictions.jsonl"),
    metrics,
    log: text("log.jsonl").replaceAll(/"tokens_per_second":\d+/g, ""),
  };
  return { results, spent: [seconds, time.training, memory.buffers] as readonly number[] };
}
