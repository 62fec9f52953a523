/**
 * Writes the losses that the benchmark compares with, by the CPU backend in f32: of all small
 * workloads and of the whole ones that it names.
 * bun test/cuda/device/make-losses.ts [WORKLOAD...]
 */
import { readFileSync, writeFileSync } from "node:fs";
import { openBackend } from "../../../cli/backend.ts";
import { openWorkload } from "../../../cli/bench/open-workload.ts";
import { LOSSES, lossesFile } from "./losses.ts";
import { workNames, workOf } from "./work.ts";

const backend = await openBackend({ device: "cpu", dtype: "f32", threads: null });

async function lossesOf(name: string, small: boolean): Promise<number[]> {
  const { workload, model, batches } = workOf(name, small);
  const { step } = openWorkload(backend, workload, model, { checkpointing: false });
  const losses: number[] = [];
  for (let i = 0; i < LOSSES; i++) losses.push(await step(batches[i % batches.length]!));
  return losses;
}

const losses = JSON.parse(readFileSync(lossesFile, "utf8"));

async function add(size: "small" | "whole", names: readonly string[]) {
  for (const name of names) {
    losses[size] = { ...losses[size], [name]: await lossesOf(name, size === "small") };
    writeFileSync(lossesFile, `${JSON.stringify(losses, null, 2)}\n`);
  }
}

await add("small", workNames);
await add("whole", process.argv.slice(2));
