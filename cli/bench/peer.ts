import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { parseJsonObject } from "../../core/io/json-file.ts";
import { childOutput } from "./child-output.ts";
import { flagWords } from "./flag-words.ts";
import type { WorkloadName } from "./workloads.ts";

/** The figures of one process of the peer. */
export interface Round {
  /** Mean over the timed steps. */
  readonly secondsPerStep: number;
  readonly startUpSeconds: number;
  readonly peakRssMib: number;
  /** Processors that other processes kept busy during the timed steps. */
  readonly otherLoad: number;
  readonly versions: Readonly<Record<string, string>>;
}

/** How to run one process of the peer. */
export interface PeerOptions {
  /** A Python with the peer's requirements. */
  readonly python: string;
  /** The folder with peer.py. */
  readonly dir: string;
  readonly workload: WorkloadName;
  readonly dtype: "f32" | "bf16";
  readonly batches: string;
  readonly model: string;
  readonly threads: number;
  readonly warmup: number;
  readonly steps: number;
}

/** Settings of the peer: the best found for each workload and type. */
export interface PeerSettings {
  /** Whether malloc keeps freed pages: it pays on large batches and costs memory on small ones. */
  readonly alloc: "keep" | "default";
  /** What is bf16: operations within autocast, or the whole frozen model. */
  readonly bf16Mode: "autocast" | "base";
}

const keepsPages: ReadonlySet<WorkloadName> = new Set([
  "rte-b32",
  "full-b16",
  "squad-b16",
  "xsum-b8",
]);
const bf16Base: ReadonlySet<WorkloadName> = new Set(["sst2-predict-b32"]);

/** The peer's best settings for a workload. */
export const peerSettings = (workload: WorkloadName): PeerSettings => ({
  alloc: keepsPages.has(workload) ? "keep" : "default",
  bf16Mode: bf16Base.has(workload) ? "base" : "autocast",
});

/** Runs one process of transformers + PEFT on the same batches and weights, in the same type. */
export async function runPeer(options: PeerOptions): Promise<Round> {
  const { workload, dtype } = options;
  const { alloc, bf16Mode } = peerSettings(workload);
  const flags = {
    engine: "peft",
    dtype,
    "bf16-mode": dtype === "bf16" ? bf16Mode : null,
    rank: "12:8",
    alloc,
    threads: options.threads,
    warmup: options.warmup,
    steps: options.steps,
    model: options.model,
    batches: options.batches,
  };
  const words = [options.python, join(options.dir, "peer.py"), workload, ...flagWords(flags)];
  const out = await childOutput(words, words.slice(0, 3).join(" "));
  const json = parseJsonObject(out.trim().split("\n").at(-1) ?? "", SOURCE);
  return {
    secondsPerStep: numberOf(json, "mean_s"),
    startUpSeconds: numberOf(json, "start_up_s"),
    peakRssMib: numberOf(json, "peak_rss_mib"),
    otherLoad: meanOf(json, "other_load"),
    versions: wordsOf(json, "versions"),
  };
}

// --- internal ---

const SOURCE = "peer.py's output";
type Json = Readonly<Record<string, unknown>>;

function numberOf(json: Json, key: string): number {
  const value = json[key];
  if (typeof value !== "number") throw errors.config(SOURCE, key, "a number", value);
  return value;
}

function meanOf(json: Json, key: string): number {
  const value = json[key];
  if (!Array.isArray(value) || value.length === 0)
    throw errors.config(SOURCE, key, "a list of numbers", value);
  return value.map(Number).reduce((sum, x) => sum + x, 0) / value.length;
}

function wordsOf(json: Json, key: string): Readonly<Record<string, string>> {
  const value = json[key];
  if (typeof value !== "object" || value === null)
    throw errors.config(SOURCE, key, "an object", value);
  return Object.fromEntries(Object.entries(value).map(([name, word]) => [name, String(word)]));
}
