import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { flagWords } from "./flag-words.ts";
import { parseJsonObject } from "../../core/io/json-file.ts";

/** What is compared of one process. */
export interface Round {
  /** Mean over the timed steps. */
  readonly secondsPerStep: number;
  readonly startUpSeconds: number;
  readonly peakRssMib: number;
}

export interface PeerOptions {
  /** A Python with the peer's requirements. */
  readonly python: string;
  /** The folder with peer.py. */
  readonly dir: string;
  readonly workload: string;
  readonly dtype: "f32" | "bf16";
  readonly batches: string;
  readonly model: string;
  readonly threads: number;
  readonly warmup: number;
  readonly steps: number;
}

/** Keeping freed pages pays on large batches and costs memory on small ones: the better setting of each is used. */
const keepsPages = new Set(["rte-b32", "full-b16"]);

/** One process of transformers + PEFT on the same batches and weights, in the same type. */
export async function runPeer(options: PeerOptions): Promise<Round> {
  const { workload } = options;
  const flags = {
    engine: "peft",
    dtype: options.dtype,
    rank: "12:8",
    alloc: keepsPages.has(workload) ? "keep" : "default",
    threads: options.threads,
    warmup: options.warmup,
    steps: options.steps,
    model: options.model,
    batches: options.batches,
  };
  const words = [options.python, join(options.dir, "peer.py"), workload, ...flagWords(flags)];
  const child = Bun.spawn(words, { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw errors.process(words.slice(0, 3).join(" "), err);
  const json = parseJsonObject(out.trim().split("\n").at(-1) ?? "", "peer.py's output");
  return {
    secondsPerStep: numberOf(json, "mean_s"),
    startUpSeconds: numberOf(json, "start_up_s"),
    peakRssMib: numberOf(json, "peak_rss_mib"),
  };
}

function numberOf(json: Readonly<Record<string, unknown>>, key: string): number {
  const value = json[key];
  if (typeof value !== "number") throw errors.config("peer.py's output", key, "a number", value);
  return value;
}
