import { availableParallelism } from "node:os";
import { join } from "node:path";
import { errors } from "../../core/errors.ts";
import { integer, list, text, toggle } from "../../core/train/setting.ts";
import { writeJson } from "../../core/train/run-files.ts";
import { writeFileAtomic } from "../../core/io/atomic.ts";
import { openBackend, settledDtype } from "../backend.ts";
import { benchText } from "../bench/bench-text.ts";
import { flagWords } from "../bench/flag-words.ts";
import { machineFacts } from "../bench/machine.ts";
import type { Measurement } from "../bench/measure.ts";
import { type Round, runPeer } from "../bench/peer.ts";
import { summarize, type WorkloadResult } from "../bench/summary.ts";
import { workloadNames } from "../bench/workloads.ts";
import { defineCommand } from "../command.ts";
import type { Report } from "../report.ts";

const benchOptions = {
  workload: list(`what to measure, of ${workloadNames.join(", ")}, or all (default: rte-b32)`),
  batches: text(null, "folder of WORKLOAD.json files (default: built-in batches of like lengths)", {
    hint: "DIR",
  }),
  rounds: integer(3, "processes of each side", { min: 1 }),
  steps: integer(3, "timed steps of a process", { min: 1 }),
  warmup: integer(1, "steps before them", { min: 1 }),
  peer: toggle(false, "run transformers + PEFT alternately, on the same batches and weights"),
  peerDir: text(null, "folder with the peer's peer.py", { hint: "DIR" }),
  python: text(null, "a Python with the peer's packages (default: $PYTHON)", { hint: "FILE" }),
  profile: toggle(false, "print the time of each kernel and write a trace for Perfetto"),
  result: text(null, "write the figures to this JSON file", { hint: "FILE" }),
  inProcess: toggle(false, "measure one round in this process and print it: what each round runs"),
};

/** `adalora bench`: step time, memory, start-up and the share of the machine's peak, beside PEFT's on request. */
export const bench = defineCommand({
  usage: "",
  positionals: 0,
  settings: ["model", "device", "dtype", "threads"],
  options: benchOptions,
  scripts: false,
  notes: [
    "Every round is a process of its own, so that memory and start-up are those of a user's run.",
  ],
  examples: [
    "adalora bench",
    "adalora bench --workload rte-b32,full-b16 --peer --peer-dir peer --batches batches --model deberta-v3-base",
  ],

  async run({ given, options }, report) {
    const model = textOf(given.get("model")?.value);
    const device = textOf(given.get("device")?.value) ?? "auto";
    const threads = Number(given.get("threads")?.value ?? availableParallelism());
    const dtype = settledDtype({ device, dtype: dtypeOf(given.get("dtype")?.value) });
    const names = chosen(options.workload);
    const { batches, warmup, steps, profile } = options;
    if (options.inProcess) {
      const backend = await openBackend({ device, dtype, threads });
      const { measure } = await import("../bench/measure.ts");
      const [workload = "rte-b32"] = names;
      report.result(measure(backend, { workload, batches, model, warmup, steps, profile }), "");
      return;
    }
    const peer = options.peer ? peerSettings(options, model) : undefined;
    const results: WorkloadResult[] = [];
    for (const workload of names) {
      const ours: Measurement[] = [];
      const theirs: Round[] = [];
      for (let round = 0; round < options.rounds; round++) {
        report.info(`${workload}: round ${round + 1} of ${options.rounds}`);
        ours.push(
          await runOurs({
            workload,
            batches,
            model,
            device,
            dtype,
            threads,
            warmup,
            steps,
            profile,
          }),
        );
        if (peer) theirs.push(await runPeer({ ...peer, workload, dtype, threads, warmup, steps }));
      }
      results.push(summarize(workload, ours, theirs));
      if (profile) writeTrace(workload, ours.at(-1), report);
    }
    const value = {
      ...(await machineFacts(threads)),
      model,
      batches,
      dtype,
      rounds: options.rounds,
      warmup,
      steps,
      results,
    };
    if (options.result !== null) writeJson(options.result, value);
    report.result(value, benchText(results));
  },
});

function textOf(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

const dtypeOf = (value: unknown) => (value === "auto" || value === "bf16" ? value : "f32");

function chosen(words: readonly string[] | null): readonly string[] {
  const names = words ?? ["rte-b32"];
  if (names.includes("all")) return workloadNames;
  const unknown = names.find((name) => !workloadNames.includes(name));
  if (unknown !== undefined) {
    throw errors.flag("workload", `must be of ${workloadNames.join(", ")} or all, got ${unknown}`);
  }
  return names;
}

function peerSettings(
  {
    peerDir,
    python,
    batches,
  }: { peerDir: string | null; python: string | null; batches: string | null },
  model: string | null,
) {
  if (peerDir === null)
    throw errors.flag("peer-dir", "is needed with --peer: the folder of peer.py");
  if (batches === null || model === null) {
    throw errors.flag("peer", "needs --batches and --model: both sides run on the same numbers");
  }
  return { dir: peerDir, python: python ?? process.env["PYTHON"] ?? "python3", batches, model };
}

interface OursOptions {
  readonly workload: string;
  readonly batches: string | null;
  readonly model: string | null;
  readonly device: string;
  readonly dtype: "f32" | "bf16";
  readonly threads: number;
  readonly warmup: number;
  readonly steps: number;
  readonly profile: boolean;
}

async function runOurs(options: OursOptions): Promise<Measurement> {
  const entry = join(import.meta.dir, "..", "main.ts");
  const self = (await Bun.file(entry).exists()) ? [process.execPath, entry] : [process.execPath];
  const { profile, ...flags } = options;
  const words = [
    ...self,
    "bench",
    "--in-process",
    "--json",
    ...flagWords(flags),
    ...(profile ? ["--profile"] : []),
  ];
  const child = Bun.spawn(words, { stdout: "pipe", stderr: "pipe" });
  const [out, err] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  if ((await child.exited) !== 0) throw errors.process("adalora bench --in-process", err);
  // The line is our own, printed by the same version.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return JSON.parse(out) as Measurement;
}

function writeTrace(workload: string, measurement: Measurement | undefined, report: Report): void {
  if (!measurement?.trace) return;
  const path = `trace-${workload}.json`;
  writeFileAtomic(path, JSON.stringify(measurement.trace));
  report.info(`trace in ${path}: open it in https://ui.perfetto.dev`);
}
