import { resolve } from "node:path";
import { type RunConfig, settingNames } from "../../core/train/config.ts";
import type { RunResult, RunWatcher } from "../../core/train/execute.ts";
import type { PreparedRun } from "../../core/train/prepare.ts";
import { openBackend } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { runOptions } from "../options.ts";
import { checkOut, clearOut, defaultOut } from "../out-folder.ts";
import { recipeNames } from "../recipes.ts";
import type { ExitCode, Report } from "../report.ts";
import { resolveRun } from "../run-config.ts";
import { runJson, runText } from "../run-text.ts";
import { listenForStop } from "../signals.ts";
import { localSources } from "../sources.ts";
import { createSpeedometer } from "../speedometer.ts";

/** `adalora run`: model, data, plan, training, evaluation and files in one go. */
export const run = defineCommand({
  usage: "[RECIPE|FILE]",
  positionals: 1,
  settings: settingNames,
  options: runOptions,
  scripts: true,
  notes: [
    `Recipes: ${recipeNames.join(" ")}. A FILE is TOML, YAML or JSON, or the config.json of an earlier run; flags override it. Without either: the demo, which needs no model and no data.`,
    "A line of the authors' scripts can be pasted after `adalora run`.",
  ],
  examples: [
    "adalora run",
    "adalora run rte --budget 0.32M --model deberta-v3-base --data glue/RTE --out runs/rte",
    "adalora run runs/rte/config.json --seed 7 --out runs/rte-7",
  ],

  async run({ positionals, given, options }, report) {
    const { config, notes } = await resolveRun(
      positionals[0] ?? (given.has("task") ? undefined : "demo"),
      given,
    );
    for (const note of notes) report.info(note);
    const { seeds, resume, overwrite } = options;
    const out = config.out ?? defaultOut(config.task, new Date());
    if (!seeds) return runOnce({ ...config, out }, { resume, overwrite }, report);
    const { runSeeds } = await import("../run-seeds.ts");
    return runSeeds(config, seeds, out, report, (one) =>
      trainOnce(one, { resume, overwrite }, report),
    );
  },
});

interface FolderWishes {
  readonly resume: boolean;
  readonly overwrite: boolean;
}

/** A finished run, or the exit code of one that was interrupted. */
export interface Trained {
  readonly prepared: PreparedRun;
  readonly result: RunResult;
  readonly out: string;
}

async function runOnce(
  config: RunConfig & { out: string },
  wishes: FolderWishes,
  report: Report,
): Promise<ExitCode> {
  const trained = await trainOnce(config, wishes, report);
  if (trained.result.stoppedBy === "interrupt") return interrupted(trained, report);
  report.result(runJson(trained), runText(trained, report.stdout));
  return 0;
}

function interrupted({ result, out }: Trained, report: Report): ExitCode {
  report.warn(`interrupted after step ${result.steps}; --resume --out ${out} goes on from there`);
  return 130;
}

/** Checks everything, then claims the folder, then trains. */
async function trainOnce(
  config: RunConfig & { out: string },
  wishes: FolderWishes,
  report: Report,
): Promise<Trained> {
  const out = resolve(config.out);
  checkOut(out, wishes);
  const { prepareRun } = await import("../../core/train/prepare.ts");
  const { executeRun } = await import("../../core/train/execute.ts");
  const prepared = await prepareRun(config, await localSources());
  for (const warning of prepared.warnings) report.warn(warning);
  const backend = await openBackend(config);
  if (wishes.overwrite) clearOut(out);
  using stop = listenForStop(report);
  const result = await executeRun(
    backend,
    prepared,
    { out, resume: wishes.resume },
    watch(prepared, report, stop.signal),
  );
  return { prepared, result, out };
}

/** Tells the report what happens. */
function watch({ config, schedule }: PreparedRun, report: Report, stop: AbortSignal): RunWatcher {
  const speedometer = createSpeedometer();
  let loss = 0;
  return {
    stopRequested: () => stop.aborted,
    onLoaded(fresh) {
      const heads = [...new Set(fresh.map((name) => name.split(".")[0]))];
      if (heads.length > 0)
        report.info(`${heads.join(" and ")} start at random: the checkpoint has none`);
    },
    onResume(step, damaged) {
      for (const one of damaged) report.warn(`${one}: is not whole, an earlier checkpoint is used`);
      report.info(`going on after step ${step}`);
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
      for (const { split, metrics, loss: validation, remarks } of evaluations) {
        const values = Object.entries({ ...metrics, loss: validation }).map(
          ([name, value]) => `${name} ${value.toFixed(4)}`,
        );
        report.info(`step ${step}  ${split}  ${values.join("  ")}${isBest ? "  best so far" : ""}`);
        for (const remark of remarks) report.warn(remark);
      }
    },
    onCheckpoint: (step) => report.info(`checkpoint after step ${step}`),
  };
}
