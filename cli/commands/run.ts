import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { settingNames } from "../../core/config/run-config.ts";
import type { RunObserver } from "../../core/run/execute.ts";
import type { PreparedRun } from "../../core/run/prepare.ts";
import { runFiles } from "../../core/run/run-folder.ts";
import { metricsOf } from "../../core/tasks/task.ts";
import { checkBackend, deviceFor, openBackend, resolveDtype } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { memoryWarning } from "../memory.ts";
import { runOptions } from "../options.ts";
import { checkOut, checkSpace, defaultOut, type OutOptions, FROZEN } from "../out-folder.ts";
import { recipeNames } from "../recipes.ts";
import type { ExitCode, Report } from "../report.ts";
import { type PlacedRun, requestedRun, storedRun } from "../run-config.ts";
import { runJson, runText } from "../run-text.ts";
import { listenForStop } from "../signals.ts";
import { DEMO, openSources } from "../sources.ts";
import { createSpeedometer } from "../speedometer.ts";
import { interrupted, sameCommand, type TrainedRun } from "../trained.ts";

/** `adalora run`: model, data, plan, training, evaluation and files in one go. */
export const run = defineCommand({
  usage: "[RECIPE|FILE]",
  words: recipeNames,
  positionals: 1,
  settings: settingNames,
  options: runOptions,
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
    const { config, notes } = await requestedRun(positionals[0], given, options, () =>
      openSources(report),
    );
    for (const note of notes) report.info(note);
    const { seeds, resume, overwrite } = options;
    checkBackend(config);
    const out = config.out ?? defaultOut(config.model === DEMO ? "demo" : config.task, new Date());
    if (!seeds) return runOnce({ ...config, out }, { resume, overwrite }, report);
    const { runSeeds } = await import("../run-seeds.ts");
    return runSeeds({ ...config, out }, seeds, { resume, overwrite }, report, (one) =>
      trainOnce(one, { resume, overwrite }, report),
    );
  },
});

async function runOnce(
  config: PlacedRun,
  outOptions: OutOptions,
  report: Report,
): Promise<ExitCode> {
  checkOut(resolve(config.out), outOptions);
  const train = (one: PlacedRun) => trainOnce(one, outOptions, report);
  const demo = isDemo(config, outOptions) ? await import("../demo.ts") : undefined;
  if (demo) await prepare(config, report); // refused before the baseline is trained
  const head = await demo?.trainHead(config, report, train);
  if (head?.result.stoppedBy === "interrupt") {
    return interrupted(head, sameCommand(config.out), report);
  }
  const trained = await train(config);
  if (trained.result.stoppedBy === "interrupt") {
    return interrupted(trained, `adalora run --resume --out ${config.out}`, report);
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

/**
 * Checks everything, then trains into the folder, which is created last. A finished run that is to
 * be resumed is read instead.
 */
async function trainOnce(
  config: PlacedRun,
  outOptions: OutOptions,
  report: Report,
): Promise<TrainedRun> {
  const out = resolve(config.out);
  checkOut(out, outOptions);
  const prepared = await prepare(config, report);
  for (const warning of prepared.warnings) report.warn(warning);
  if (outOptions.resume) {
    const result = await storedRun(out, prepared.config);
    if (result) report.info("the run is finished: there is nothing to resume");
    if (result) return { prepared, result, out };
  }
  await checkNeeds(prepared, out, report);
  const { executeRun } = await import("../../core/run/execute.ts");
  const backend = await openBackend(config);
  using stop = listenForStop(report);
  const watcher = watch(prepared, report, stop.signal);
  const result = await executeRun(backend, prepared, { out, ...outOptions }, watcher);
  return { prepared, result, out };
}

async function prepare(config: PlacedRun, report: Report): Promise<PreparedRun> {
  const { prepareRun } = await import("../../core/run/prepare.ts");
  return prepareRun(config, await openSources(report));
}

async function checkNeeds(prepared: PreparedRun, out: string, report: Report): Promise<void> {
  const { runNeeds } = await import("../../core/run/needs.ts");
  const { config } = prepared;
  const device = deviceFor(config);
  const needs = await runNeeds(prepared, await device.memoryModel(resolveDtype(config)));
  const warning = memoryWarning(needs, device.availableMemory());
  if (warning !== undefined) report.warn(warning);
  checkSpace(out, needs.disk);
}

/** Reports the events of a run. */
function watch(
  { config, schedule, spec }: PreparedRun,
  report: Report,
  stop: AbortSignal,
): RunObserver {
  const speedometer = createSpeedometer();
  let loss = 0;
  return {
    stopRequested: () => stop.aborted,
    start: {
      onProgress: (message) => report.info(message),
      onWarning: (message) => report.warn(message),
    },
    onLoaded(fresh) {
      const heads = [...new Set(fresh.map((name) => name.split(".")[0]))];
      if (heads.length > 0)
        report.info(`${heads.join(" and ")} are initialized at random: the checkpoint has none`);
    },
    onResume(step, damaged) {
      for (const one of damaged) report.warn(`${one}: the checkpoint is damaged`);
      if (step === undefined)
        report.info("no checkpoint to resume from: starting from the beginning");
      else report.info(`resuming after step ${step}`);
    },
    onStep({ step, taskLoss, budget }, speed) {
      loss = taskLoss;
      const { tokensPerSecond, secondsPerStep } = speedometer.add(speed);
      const done = step + 1;
      const secondsLeft = secondsPerStep * (schedule.steps - done);
      const state = {
        step: done,
        steps: schedule.steps,
        loss,
        budget,
        tokensPerSecond,
        secondsLeft,
      };
      report.progress(state, done % config.logSteps === 0 || done === schedule.steps);
    },
    onEvaluation(step, evaluations, isBest) {
      for (const evaluation of evaluations) {
        const { split, warnings, intervals = {} } = evaluation;
        const numbers = metricsOf(evaluation);
        const metrics = spec.metrics.flatMap((name) => {
          const [value, interval] = [numbers[name], intervals[name]];
          if (value === undefined) return [];
          return [interval ? ([name, value, interval] as const) : ([name, value] as const)];
        });
        report.scores({ step, split, metrics, isBest });
        for (const warning of warnings) report.warn(warning);
      }
    },
    onCheckpoint: (step) => report.info(`checkpoint after step ${step}`),
  };
}
