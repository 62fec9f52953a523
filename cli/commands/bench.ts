import { availableParallelism } from "node:os";
import { basename, dirname, join } from "node:path";
import { AdaloraError, errors } from "../../core/errors.ts";
import { writeFileAtomic } from "../../core/io/atomic.ts";
import { writeJson } from "../../core/run/run-files.ts";
import { integer, list, text, toggle } from "../../core/config/setting.ts";
import type { ValuesOf } from "../../core/config/setting.ts";
import { openBackend, resolveDtype } from "../backend.ts";
import { benchMarkdown, benchText } from "../bench/bench-text.ts";
import { builtIn, findModel } from "../bench/checkpoints.ts";
import { machineFacts } from "../bench/machine.ts";
import type { Measurement } from "../bench/measure.ts";
import { benchProcess } from "../bench/own-process.ts";
import { type PeerOptions, peerSettings, type Round, runPeer } from "../bench/peer.ts";
import type { Scaling } from "../bench/scaling.ts";
import { scalingSvg } from "../bench/scaling-svg.ts";
import { scalingText } from "../bench/scaling-text.ts";
import { summarize, type WorkloadResult } from "../bench/summary.ts";
import {
  isTraining,
  isWorkload,
  type WorkloadName,
  workloadNames,
  workloadOf,
} from "../bench/workloads.ts";
import { defineCommand } from "../command.ts";
import type { Report } from "../report.ts";

const benchOptions = {
  workload: list(`what to measure: ${workloadNames.join(", ")}, or all (default: rte-b32)`),
  batches: text(
    null,
    "folder of WORKLOAD.json files (default: built-in batches of similar lengths)",
    {
      hint: "DIR",
    },
  ),
  rounds: integer(3, "processes per side", { min: 1 }),
  steps: integer(8, "timed steps per process: each of a file's 8 batches once", { min: 1 }),
  warmup: integer(3, "untimed steps before them, which also pay for memory and generated code", {
    min: 1,
  }),
  peer: toggle(false, "run transformers + PEFT alternately, on the same batches and weights"),
  peerDir: text(null, "folder with the peer's peer.py", { hint: "DIR" }),
  python: text(null, "a Python with the peer's packages (default: $PYTHON)", { hint: "FILE" }),
  profile: toggle(false, "print the time of each kernel and write a trace for Perfetto"),
  scaling: toggle(false, "time batches of 4 to 64 rows instead: is the cost linear in tokens?"),
  markdown: toggle(false, "print the figures as a Markdown table"),
  result: text(null, "write the figures to this JSON file, charts and traces beside it", {
    hint: "FILE",
  }),
  inProcess: toggle(
    false,
    "measure one round in this process and print it, as the process of each round does",
  ),
};

type BenchOptions = ValuesOf<typeof benchOptions>;

/** Settings that all rounds of a bench share. */
interface BenchSetting {
  readonly model: string | null;
  readonly device: string;
  readonly dtype: "f32" | "bf16";
  readonly checkpointing: boolean;
  readonly threads: number;
  readonly debugSync: boolean;
}

/** `adalora bench`: step time, memory, start-up time and the share of the measured peak. */
export const bench = defineCommand({
  usage: "",
  positionals: 0,
  settings: ["model", "device", "dtype", "checkpointing", "threads", "debugSync"],
  options: benchOptions,
  scripts: false,
  notes: [
    "Each round is its own process, so that memory and start-up time are those of a user's run.",
    "--checkpointing applies to adalora only: the peer keeps its activations.",
    `--model names a checkpoint's folder, or one that holds ${Object.keys(builtIn).join(" and ")}.`,
  ],
  examples: [
    "adalora bench",
    "adalora bench --workload rte-b32,xsum-b8 --peer --peer-dir peer --batches batches --model models",
    "adalora bench --workload full-b16 --scaling --result scaling.json",
  ],

  async run({ given, options }, report) {
    const device = textOf(given.get("device")?.value) ?? "auto";
    const setting = {
      model: textOf(given.get("model")?.value),
      device,
      dtype: resolveDtype({ device, dtype: dtypeOf(given.get("dtype")?.value) }),
      checkpointing: given.get("checkpointing")?.value === true,
      threads: Number(given.get("threads")?.value ?? availableParallelism()),
      debugSync: given.get("debugSync")?.value === true,
    };
    const names = workloadsFrom(options.workload);
    if (setting.checkpointing) checkTraining(names);
    if (options.inProcess) return measureInProcess(names, setting, options, report);
    if (options.scaling) return measureBatchSizes(names, setting, options, report);
    const peer = options.peer ? peerOf(options, setting) : undefined;
    const facts = await factsOf(setting, options);
    const results: WorkloadResult[] = [];
    for (const workload of names) {
      results.push(await compare(workload, setting, options, peer, report));
      if (options.result !== null) writeJson(options.result, { ...facts, results });
    }
    report.result(
      { ...facts, results },
      options.markdown ? benchMarkdown(results) : benchText(results),
    );
  },
});

// --- internal ---

/** Runs one round in this process and prints it, for the process that compares. */
async function measureInProcess(
  [workload = "rte-b32"]: readonly WorkloadName[],
  setting: BenchSetting,
  options: BenchOptions,
  report: Report,
): Promise<void> {
  const backend = await openBackend(setting);
  const { measure } = await import("../bench/measure.ts");
  report.result(await measure(backend, { ...options, ...setting, workload }), "");
}

/** Times steps of growing batches, for each workload. */
async function measureBatchSizes(
  names: readonly WorkloadName[],
  setting: BenchSetting,
  options: BenchOptions,
  report: Report,
): Promise<void> {
  const backend = await openBackend(setting);
  const { measureScaling } = await import("../bench/scaling.ts");
  const scaling: Scaling[] = [];
  for (const workload of names) {
    report.info(`${workload}: ${options.rounds * options.steps} steps of each batch size`);
    const grown = await measureScaling(backend, { ...options, ...setting, workload });
    const path = besideResult(options, `scaling-${workload}-${setting.dtype}.svg`);
    writeFileAtomic(path, scalingSvg(grown, setting.dtype));
    report.info(`chart in ${path}`);
    scaling.push(grown);
  }
  const value = { ...(await factsOf(setting, options)), scaling };
  if (options.result !== null) writeJson(options.result, value);
  report.result(value, scaling.map(scalingText).join("\n\n"));
}

type Peer = Pick<PeerOptions, "dir" | "python" | "batches" | "model">;

/** Runs the rounds of a workload, alternating ours and the peer's. */
async function compare(
  workload: WorkloadName,
  setting: BenchSetting,
  options: BenchOptions,
  peer: Peer | undefined,
  report: Report,
): Promise<WorkloadResult> {
  const { warmup, steps, batches, profile, rounds } = options;
  const { checkpointing, debugSync, ...own } = setting;
  const { dtype, threads } = setting;
  const switches = [
    ...(profile ? ["--profile"] : []),
    ...(checkpointing ? ["--checkpointing"] : []),
    ...(debugSync ? ["--debug-sync"] : []),
  ];
  const ours: Measurement[] = [];
  const theirs: (Round | undefined)[] = [];
  for (let round = 0; round < rounds; round++) {
    report.info(`${workload}: round ${round + 1} of ${rounds}`);
    const flags = { ...own, workload, batches, warmup, steps };
    ours.push(await benchProcess<Measurement>(flags, switches));
    if (peer) {
      const model = findModel(workloadOf(workload), peer.model).dir ?? peer.model;
      const run = runPeer({ ...peer, model, workload, dtype, threads, warmup, steps });
      theirs.push(round === 0 ? await run : await run.catch((error) => lostRound(error, report)));
    }
  }
  const trace = ours.at(-1)?.trace;
  if (trace) {
    const path = besideResult(options, `trace-${workload}-${dtype}.json`);
    writeFileAtomic(path, JSON.stringify(trace));
    report.info(`trace in ${path}: open it in https://ui.perfetto.dev`);
  }
  return summarize(workload, ours, { settings: peerSettings(workload), rounds: theirs });
}

/** Drops a failed round of a peer that has run before, to keep what has been measured. */
function lostRound(error: unknown, report: Report): undefined {
  if (!(error instanceof AdaloraError)) throw error;
  const [message = "", ...details] = error.lines;
  report.warn(message, [...details, "its round is left out of the ratios"]);
}

/** The conditions of a measurement; only the names of folders, since paths differ by machine. */
async function factsOf(setting: BenchSetting, options: BenchOptions) {
  const { dtype, checkpointing, threads } = setting;
  const { rounds, warmup, steps } = options;
  const model = setting.model === null ? "random weights" : basename(setting.model);
  const batches = options.batches === null ? "built in" : basename(options.batches);
  return {
    ...(await machineFacts(threads)),
    model,
    batches,
    dtype,
    checkpointing,
    rounds,
    warmup,
    steps,
  };
}

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

const dtypeOf = (value: unknown) => (value === "auto" || value === "bf16" ? value : "f32");

function workloadsFrom(words: readonly string[] | null): readonly WorkloadName[] {
  const names = words ?? ["rte-b32"];
  if (names.includes("all")) return workloadNames;
  const unknown = names.find((name) => !isWorkload(name));
  if (unknown !== undefined) {
    throw errors.flag(
      "workload",
      `must be one of ${workloadNames.join(", ")} or all, got ${unknown}`,
    );
  }
  return names.filter(isWorkload);
}

/** Throws E_CONFIG for a workload that does not train: it keeps no activations to recompute. */
function checkTraining(names: readonly WorkloadName[]): void {
  const other = names.find((name) => !isTraining(name));
  if (other === undefined) return;
  const hint = `nothing is trained there; workloads that train: ${workloadNames.filter(isTraining).join(", ")}`;
  throw errors.unusable("--checkpointing", `workload ${other}`, hint);
}

function peerOf({ peerDir, python, batches }: BenchOptions, { model }: BenchSetting): Peer {
  if (peerDir === null)
    throw errors.flag("peer-dir", "is needed with --peer: the folder of peer.py");
  if (batches === null || model === null) {
    throw errors.flag(
      "peer",
      "needs --batches and --model: both sides use the same data and weights",
    );
  }
  return { dir: peerDir, python: python ?? process.env["PYTHON"] ?? "python3", batches, model };
}

/** The path of a chart or trace: in the folder of --result, or the current one. */
const besideResult = ({ result }: BenchOptions, name: string) =>
  join(result === null ? "." : dirname(result), name);
