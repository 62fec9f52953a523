import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { errors } from "../../core/errors.ts";
import { settingNames } from "../../core/config/run-config.ts";
import { integer } from "../../core/config/setting.ts";
import type { Sources } from "../../core/model/model-files.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { runFiles, seedFolder } from "../../core/run/run-folder.ts";
import { Stopped } from "../../core/stopped.ts";
import { attemptWrite } from "../attempt-write.ts";
import { checkBackend, openBackend, openDecompose } from "../backend.ts";
import { cliErrors } from "../cli-errors.ts";
import { defineCommand } from "../command.ts";
import { environmentOf } from "../environment.ts";
import { runOptions } from "../options.ts";
import { checkOut, checkSpace, defaultOut, type OutOptions, FROZEN } from "../out-folder.ts";
import { writeMetricsCsv } from "../metrics-csv.ts";
import { pausing } from "../pause.ts";
import { whileLocked } from "../run-lock.ts";
import { recipeNames } from "../recipes.ts";
import type { Plan } from "../plan-text.ts";
import type { ExitCode, Report } from "../report.ts";
import { reportTo, wantsCsv } from "../report-to.ts";
import { type PlacedRun, requestedRun, storedRun } from "../run-config.ts";
import { runJson, runText } from "../run-text.ts";
import { watchRun } from "../run-watcher.ts";
import { listenForStop } from "../signals.ts";
import { DEMO, openSources } from "../sources.ts";
import { resumeCommand, sameCommand } from "../shell-command.ts";
import { interrupted, StoppedAtStart, type TrainedRun } from "../trained.ts";

/** `adalora run`: model, data, plan, training, evaluation and files in one go. */
export const run = defineCommand({
  usage: "[RECIPE|FILE]",
  words: recipeNames,
  positionals: 1,
  settings: settingNames,
  options: {
    ...runOptions,
    jobs: integer(1, "seeds of --seeds to run at a time, in processes that share the threads", {
      min: 1,
    }),
    reportTo,
    pauseAfter: integer(
      null,
      "evaluate and save a checkpoint after step N, then stop; --resume continues",
      { min: 1 },
    ),
  },
  scripts: true,
  notes: [
    `Recipes: ${recipeNames.join(" ")}. A FILE is TOML, YAML or JSON, or the config.json of an earlier run; flags override it. Without either, the task of --data is inferred from its columns; without data and model too: the demo.`,
    "Without --model and --data a recipe downloads its model and data from the Hugging Face hub into the standard cache; HF_HOME, HF_TOKEN and HF_HUB_OFFLINE apply.",
    "A command line of the authors' scripts, or of transformers' run_glue, run_qa or run_summarization, can be pasted after `adalora run`. Flags after it override it.",
  ],
  examples: [
    "adalora run",
    "adalora run rte --budget 0.32M --out runs/rte",
    "adalora run rte --model ./deberta-v3-base --data glue/RTE --out runs/rte",
    "adalora run --resume --out runs/rte",
    "adalora run runs/rte/config.json --seed 7 --out runs/rte-7",
  ],

  async run({ positionals, given, options }, report) {
    const sources = openSources(report);
    const { config, notes } = await requestedRun(positionals[0], given, options, sources);
    for (const note of notes) report.info(note);
    const { seeds, resume, overwrite, memory, reportEvery, jobs, pauseAfter } = options;
    if (seeds && pauseAfter !== null) throw errors.alternatives("--pause-after", "--seeds");
    if (jobs > 1 && !seeds) throw errors.missing("--seeds", "--jobs runs several seeds at a time");
    checkBackend(config);
    const out = config.out ?? defaultOut(config.model === DEMO ? "demo" : config.task, new Date());
    const folders = seeds?.map((seed) => seedFolder(out, seed)) ?? [out];
    for (const folder of folders) checkOut(resolve(folder), { resume, overwrite });
    const again = sameCommand(out, { isNamed: positionals.length > 0 || given.has("task") });
    const hasCsv = wantsCsv(options.reportTo);
    const outOptions = { resume, overwrite, memory, reportEvery, pauseAfter, hasCsv };
    const context = { sources, report, again };
    const train = async () => {
      const placed = { ...config, out };
      if (!seeds) return runOnce(placed, outOptions, context);
      const code =
        jobs > 1
          ? await trainTogether(placed, { seeds, parallel: jobs }, outOptions, context)
          : await trainInTurn(placed, seeds, outOptions, context);
      const { keepReport } = await import("../report-page/kept-report.ts");
      if (code === 0) keepReport(out, reportEvery, (text) => report.warn(text)).ended();
      return code;
    };
    try {
      return await whileLocked(out, train);
    } catch (error) {
      if (!(error instanceof StoppedAtStart)) throw error;
      report.error(cliErrors.interrupted(0, again));
      return error.exitCode;
    }
  },
});

/** Trains one seed after another. */
async function trainInTurn(
  config: PlacedRun,
  seeds: readonly number[],
  outOptions: StartOptions,
  context: Context,
): Promise<ExitCode> {
  const { runSeeds } = await import("../run-seeds.ts");
  const train = (one: PlacedRun) => trainOnce(one, outOptions, context);
  return runSeeds({ config, seeds, train }, outOptions, context);
}

/** Checks the run, then trains several seeds at a time, each in a process of its own. */
async function trainTogether(
  config: PlacedRun,
  { seeds, parallel }: { readonly seeds: readonly number[]; readonly parallel: number },
  { memory, reportEvery, hasCsv, resume, overwrite }: StartOptions,
  context: Context,
): Promise<ExitCode> {
  const { report } = context;
  const { fittedRun } = await import("../fitted-run.ts");
  const { runSeedJobs } = await import("../run-seed-jobs.ts");
  const checked = await prepare({ ...config, seed: seeds[0] ?? config.seed }, context);
  const { run: prepared, note } = await fittedRun(checked, memory);
  if (note !== undefined) report.info(note);
  for (const warning of prepared.warnings) report.warn(warning);
  const csv = hasCsv ? ["--report-to", "csv"] : [];
  const words = ["--report-every", String(reportEvery), ...csv];
  const jobs = { prepared, seeds, parallel, words };
  return runSeedJobs(config, jobs, { resume, overwrite }, context);
}

interface StartOptions extends OutOptions {
  /** --memory: what the run may take. */
  readonly memory: string | null;
  /** --report-every */
  readonly reportEvery: number;
  /** --pause-after */
  readonly pauseAfter: number | null;
  /** Whether to write metrics.csv. */
  readonly hasCsv: boolean;
}

/** What a command opens once. */
interface Context {
  readonly sources: Sources;
  readonly report: Report;
  /** The command that resumes this one. */
  readonly again: string;
}

async function runOnce(
  config: PlacedRun,
  outOptions: StartOptions,
  context: Context,
): Promise<ExitCode> {
  const { report, again } = context;
  const train = (one: PlacedRun) => trainOnce(one, outOptions, context);
  const demo = isDemo(config, outOptions) ? await import("../demo.ts") : undefined;
  if (demo) await prepare(config, context); // refused before the baseline is trained
  const head = await demo?.trainHead(config, report, (one) =>
    trainOnce(one, { ...outOptions, pauseAfter: null }, context),
  );
  if (head && head.stopCode !== undefined) {
    return interrupted(head, again, report);
  }
  const trained = await train(config);
  if (trained.result.stoppedBy === "interrupt") {
    const resume = resumeCommand(config.out);
    if (trained.stopCode !== undefined) return interrupted(trained, resume, report);
    const { steps } = trained.result;
    report.result(
      { paused_after: steps, resume },
      `paused after step ${steps}: ${resume} continues`,
    );
    return 0;
  }
  const frozen = head && demo?.accuracyOf(head);
  const value = {
    ...runJson(trained),
    ...(frozen === undefined ? {} : { frozen_baseline: frozen }),
  };
  const rows = demo && frozen !== undefined ? [demo.frozenLine(frozen)] : [];
  report.result(value, runText(trained, report.stdout, rows));
  return 0;
}

/**
 * Whether to train the baseline too: the run is the demo, and if it is resumed, it began with the
 * baseline.
 */
function isDemo({ model, method, out }: PlacedRun, { resume }: OutOptions): boolean {
  const began = resume && existsSync(join(out, runFiles.config));
  return model === DEMO && method === "adalora" && (!began || existsSync(join(out, FROZEN)));
}

/** Trains into the folder while it is locked. A finished run that is to be resumed is read. */
function trainOnce(
  config: PlacedRun,
  outOptions: StartOptions,
  context: Context,
): Promise<TrainedRun> {
  return whileLocked(config.out, () => trainLocked(config, outOptions, context));
}

/** Checks everything before anything is written. */
async function trainLocked(
  config: PlacedRun,
  { memory, reportEvery, pauseAfter, hasCsv, ...outOptions }: StartOptions,
  context: Context,
): Promise<TrainedRun> {
  const { report } = context;
  const out = resolve(config.out);
  checkOut(out, outOptions);
  const started = performance.now();
  const { fittedRun } = await import("../fitted-run.ts");
  const checked = await prepare(config, context);
  const { run: prepared, note } = await fittedRun(checked, memory);
  if (note !== undefined) report.info(note);
  for (const warning of prepared.warnings) report.warn(warning);
  if (outOptions.resume) {
    const result = await storedRun(out, prepared.config);
    if (result) report.info("the run is finished: there is nothing to resume");
    if (result) return { prepared, result, out, stopCode: undefined };
  }
  const plan = await showHead(prepared, out, report);
  const { budgetWarning } = await import("../../core/run/early-stopping.ts");
  const { executeRun } = await import("../../core/run/execute.ts");
  const backend = await openBackend(prepared.config);
  using stop = listenForStop(report);
  const { keepReport, reporting } = await import("../report-page/kept-report.ts");
  const page = keepReport(out, reportEvery, (text) => report.warn(text));
  const decompose = await openDecompose(prepared.config, (line) => report.info(line));
  const watcher = watchRun(prepared, report, stop, started, decompose);
  const folder = {
    out,
    ...outOptions,
    evalAfter: pauseAfter,
    preparationSeconds: (performance.now() - started) / 1000,
    environment: environmentOf(backend),
  };
  const observer = pausing(reporting(watcher, page), pauseAfter);
  const result = await executeRun(backend, prepared, folder, observer).catch((error: unknown) => {
    if (error instanceof Stopped) throw new StoppedAtStart(stop.exitCode ?? 130);
    throw error;
  });
  page.ended();
  if (hasCsv)
    attemptWrite(
      runFiles.csv,
      () => writeMetricsCsv(out),
      (text) => report.warn(text),
    );
  const unreached = budgetWarning(prepared, result);
  if (unreached !== undefined) report.warn(unreached);
  return {
    prepared,
    result,
    out,
    stopCode: stop.exitCode,
    predicted: { memory: plan.needs.memory, seconds: watcher.predictedSeconds() },
  };
}

async function prepare(config: PlacedRun, { sources, report }: Context): Promise<PreparedRun> {
  const { prepareRun } = await import("../../core/run/prepare.ts");
  const onStage = (text: string) => report.stage(text);
  return prepareRun(config, sources, undefined, onStage);
}

/**
 * Says what will be trained on and where. Throws E_OUT if the folder's disk has too little space.
 */
async function showHead(prepared: PreparedRun, out: string, report: Report): Promise<Plan> {
  const { makePlan } = await import("../make-plan.ts");
  const { headText } = await import("../plan-text.ts");
  report.stage("estimating the memory");
  const plan = await makePlan(prepared, { samples: 0 });
  for (const warning of plan.warnings.slice(prepared.warnings.length)) report.warn(warning);
  checkSpace(out, plan.needs.disk);
  for (const line of headText(plan, report.stdout).split("\n")) report.info(line);
  return plan;
}
