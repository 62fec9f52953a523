import { existsSync } from "node:fs";
import { availableParallelism } from "node:os";
import { delimiter, join } from "node:path";
import { GCC_RUNTIME } from "../../../scripts/setup/gcc-runtime.ts";
import type { Part } from "./run-parts.ts";
import type { Job } from "./run-job.ts";
import { workNames } from "./work.ts";

/** What to run, and on what. */
export interface Choice {
  /** "cuda", "cuda:1" or "cuda-host". */
  readonly device: string;
  /** Stops after the smoke. */
  readonly quick: boolean;
  /** Sizes for the emulated device. */
  readonly small: boolean;
  /** A folder for files of jobs. */
  readonly scratch: string;
}

/** Entries whose calls show that anything works at all. */
const SMOKE = [
  "zero",
  "copy",
  "gemm",
  "add",
  "scale",
  "addBias",
  "gatherRows",
  "addLayerNorm",
  "sumOfSquares",
  "adamw",
];

/**
 * Cases of entries that index by their inputs or share memory among threads, each of several blocks:
 * conformance's last case of an entry is often one without rows.
 */
export const SANITIZED = [
  "addFactorGradient 130x160 rank 40",
  "linears, query, key, value, many rows",
  "linearsBackward, query, key, value, many rows",
  "attention wide heads, several blocks of keys, grouped, dropout",
  "attentionBackward several blocks of keys, dropout",
  "attentionBackward wide heads, several blocks of keys, grouped, dropout",
  "disentangledAttention several blocks of rows",
  "disentangledAttentionBackward several blocks of rows",
  "disentangledAttentionBackward buckets, holes",
  "scatterAddRows 150x222 to master",
  "addLayerNormBackward 25x768, without bias, trained",
  "crossEntropy 3x6000",
  "addVocabularyLoss 6x6000, smoothing 0.1",
];

/** The CPU has only ever been measured on two cores. */
const THREADS = [1, 2, 4, 8, 16];
const CPU_WORK = ["sst2-b32", "rte-b32"];

/** How much longer parts may take on the emulated device, which g++ compiles first. */
const SLOW = 20;

const DTYPES = ["bf16", "f32"] as const;

/** All parts in order, with their limits in seconds. */
export function partsFor(choice: Choice): readonly Part[] {
  const first: readonly Part[] = [
    { name: "environment", seconds: 10, jobs: [job(choice, "environment")] },
    { name: "doctor", seconds: 10, jobs: [job(choice, "doctor")], required: true },
    { name: "smoke", seconds: 20, jobs: [smoke(choice)] },
  ];
  const parts = choice.quick ? first : [...first, ...otherParts(choice)];
  return choice.small ? parts.map((part) => ({ ...part, seconds: SLOW * part.seconds })) : parts;
}

// --- internal ---

const JOBS = join(import.meta.dir, "jobs");

/** One of the jobs in jobs/, on the device. */
function job({ device, small }: Choice, name: string, ...words: readonly string[]): Job {
  const flags = ["--device", device, ...(small ? ["--small"] : []), ...words];
  return { command: [process.execPath, join(JOBS, `${name}.ts`), ...flags] };
}

/** Compiles into a cache of its own: the first start that is timed later has nothing compiled. */
const smoke = (choice: Choice): Job => ({
  ...job(choice, "conformance", "--quick", "--only", SMOKE.join(";")),
  env: { XDG_CACHE_HOME: join(choice.scratch, "smoke") },
});

function otherParts(choice: Choice): readonly Part[] {
  const inBoth = (name: string, ...words: readonly string[]) =>
    DTYPES.toReversed().map((dtype) => job(choice, name, "--dtype", dtype, ...words));
  const [f32, bf16] = inBoth("conformance");
  const works = choice.small ? ["rte-b32", "xsum-b8"] : workNames;
  const benchmarks = DTYPES.flatMap((dtype) =>
    works.map((work) =>
      limited(choice.small ? 600 : 30, job(choice, "benchmark", "--dtype", dtype, "--only", work)),
    ),
  );
  const profiles = DTYPES.map((dtype) => job(choice, "profile", "--dtype", dtype));
  return [
    { name: "compile", seconds: 60, jobs: [job(choice, "compile")] },
    { name: "conformance f32", seconds: 60, jobs: [f32!] },
    { name: "conformance bf16", seconds: 60, jobs: [bf16!] },
    { name: "goldens", seconds: 60, jobs: [...inBoth("goldens"), job(choice, "cusolver")] },
    { name: "benchmark", seconds: 90, jobs: benchmarks },
    { name: "peft", seconds: 90, jobs: [peft(choice)] },
    { name: "profile", seconds: 20, jobs: profiles },
    { name: "compute-sanitizer", seconds: 60, jobs: sanitizers(choice) },
    { name: "cpu", seconds: Infinity, jobs: cpuJobs(choice) },
  ];
}

const limited = (seconds: number, one: Job): Job => ({ ...one, seconds });

/** PEFT on the same batches: they are written by the job, so that Python can read them. */
const peft = (choice: Choice) => job(choice, "peft", "--scratch", choice.scratch);

function sanitizers(choice: Choice): readonly Job[] {
  const tool = findTool("compute-sanitizer");
  if (tool === undefined) return [saying("compute-sanitizer is not installed")];
  return DTYPES.flatMap((dtype) => {
    const words = ["--dtype", dtype, "--only", SANITIZED.join(";")];
    const { command } = job(choice, "conformance", ...words);
    return ["memcheck", "racecheck"].map((name) => ({
      command: [tool, "--tool", name, "--error-exitcode", "9", ...command],
      env: { ADALORA_DEVICE_ITEMS: "1" }, // one process: a lost device is the end
    }));
  });
}

function cpuJobs(choice: Choice): readonly Job[] {
  const counts = choice.small ? [1] : THREADS.filter((count) => count <= availableParallelism());
  const own = GCC_RUNTIME.folder;
  const path = [own, process.env["LD_LIBRARY_PATH"] ?? ""].filter((dir) => dir !== "");
  // A machine without a compiler may lack OpenMP's and C++'s libraries, which the kit has.
  const env = existsSync(own) ? { LD_LIBRARY_PATH: path.join(delimiter) } : {};
  return CPU_WORK.flatMap((work) =>
    counts.map((count) => {
      const words = ["--only", work, "--threads", String(count)];
      return { ...job({ ...choice, device: "cpu" }, "benchmark", ...words), env };
    }),
  );
}

/** A job that is skipped with these words. */
const saying = (words: string): Job => ({
  command: ["sh", "-c", 'echo "$1" >&2; exit 3', "sh", words],
});

function findTool(name: string): string | undefined {
  const { PATH = "", CUDA_HOME } = process.env;
  const homes = [CUDA_HOME, "/usr/local/cuda"].flatMap((home) =>
    home === undefined ? [] : [join(home, "bin"), join(home, "compute-sanitizer")],
  );
  const paths = [...PATH.split(delimiter), ...homes].map((dir) => join(dir, name));
  return paths.find(existsSync);
}
