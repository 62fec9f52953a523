/**
 * bun test/oracle/modernbert-speed.ts MODEL_DIR LENGTHS THREADS
 * Times a step of AdaLoRA for modernbert_speed.py, and prints it as JSON.
 */
import { join } from "node:path";
import { startAdapters } from "../../core/adalora/start.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import { adaptModel, declareModel } from "../../core/model/open-model.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import type { LabelledBatch } from "../../core/tasks/batch.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { ADAPTERS, trainingStep } from "../../cli/bench/training-step.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { modernbert } from "../../plugins/modernbert/index.ts";

const [dir, lengths, threads] = process.argv.slice(2);
if (dir === undefined || lengths === undefined || threads === undefined) {
  throw new Error("usage: modernbert-speed.ts MODEL_DIR LENGTHS THREADS");
}
const backend = await createCpuBackend({ threads: Number(threads) });
const config = modernbert.parseConfig(readJsonObject(join(dir, "config.json")));
const head = { task: "classification", labels: 2 } as const;
const adapted = adaptModel(declareModel(modernbert, config, head), ADAPTERS);
const { tensors } = openCheckpoint(dir);
loadWeights(backend, adapted.tree, tensors, modernbert, { where: dir, seed: 1 });
startAdapters(backend, adapted.adapters, paperValues, 1);
const lossOf = sequenceLoss(adapted.model, "classification");
const step = trainingStep(backend, adapted, lossOf, { checkpointing: false });

function batchOf(counts: readonly number[]): LabelledBatch {
  const ids = counts.map((count) =>
    Array.from({ length: count }, (_, i) => 1 + ((7 * i * i + 3 * i) % 50_000)),
  );
  return { ...packSequences(ids), labels: counts.map(() => 1) };
}

step(batchOf([512]));
const [before, cpu] = [performance.now(), process.cpuUsage()];
step(batchOf(lengths.split(",").map(Number)));
const { user, system } = process.cpuUsage(cpu);
console.log(
  JSON.stringify({
    seconds: (performance.now() - before) / 1000,
    cpu_seconds: (user + system) / 1e6,
    peak_rss_mib: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
);
