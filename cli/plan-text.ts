import { type BudgetSchedule, budgetAt } from "../core/adalora/budget.ts";
import { startFor } from "../core/config/method.ts";
import { configToJson, type RunConfig } from "../core/config/run-config.ts";
import type { RunSchedule } from "../core/run/phases.ts";
import type { RunNeeds } from "../core/run/needs.ts";
import type { RankTarget } from "../core/run/target.ts";
import { deviceFor, resolveDtype } from "./backend.ts";
import { byteSize } from "./byte-size.ts";
import { printable } from "./printable.ts";
import { paint, type Output } from "./terminal.ts";

/** What a run would do. */
export interface Plan {
  readonly config: RunConfig;
  readonly schedule: RunSchedule;
  /** Rows of the training data. The schedule counts windows instead, several per long context. */
  readonly rows: number;
  /** Undefined for methods without adapters. */
  readonly target: RankTarget | undefined;
  /** The seeds of several runs; undefined for a single run. */
  readonly seeds: readonly number[] | undefined;
  /** Matrices that get an adapter. */
  readonly matrices: number;
  readonly modelParameters: number;
  /** Parameters of the model itself that are trained: its head, for most methods. */
  readonly trainedParameters: number;
  readonly needs: RunNeeds;
  readonly warnings: readonly string[];
}

/** A plan as a page of at most 80 columns. */
export function planText(plan: Plan, output: Output): string {
  const { config, schedule, target, seeds, warnings } = plan;
  const rows = [
    ["data", dataText(plan)],
    ["length", lengthText(config, schedule)],
    ["rate", rateText(config, schedule)],
    ...(target ? phaseRows(schedule, target, config) : []),
    ...parameterRows(plan),
    ...choiceRows(config),
    ...needsRows(plan),
    ...(seeds ? [["seeds", `${count(seeds.length)} such runs, with ${seeds.join(", ")}`]] : []),
  ];
  const title = `${config.task}: ${config.method} on ${printable(config.model)}`;
  const lines = rows.map(([label = "", text]) => `${label.padEnd(labelWidth)}${text}`);
  const warningLines = warnings.map(
    (text) => `${paint(output, "yellow", "warn")}  ${printable(text)}`,
  );
  const blocks = [paint(output, "bold", title), lines.join("\n"), warningLines.join("\n")];
  return blocks.filter((block) => block !== "").join("\n\n");
}

/** A plan as JSON: `config` can be saved and run. Steps of phases count from 0. */
export function planJson({ config, ...rest }: Plan): object {
  return { config: configToJson(config), ...rest };
}

/** Draws the budget b(t) over the whole run: "████▇▅▄▃▃▂▂▂▁▁". */
export function budgetCurve(schedule: BudgetSchedule, width: number): string {
  const bars = "▁▂▃▄▅▆▇█";
  const last = Math.max(1, width - 1);
  return Array.from({ length: width }, (_, i) => {
    const step = Math.round((i / last) * (schedule.steps - 1));
    const share = budgetAt(step, schedule) / schedule.initial;
    return bars[Math.max(0, Math.ceil(share * bars.length) - 1)];
  }).join("");
}

/** A run's schedule as the rank allocator takes it. */
export function budgetSchedule(
  { steps: all, initWarmup, finalWarmup }: RunSchedule,
  { initTotalRank, targetTotalRank }: RankTarget,
  { maskInterval }: RunConfig,
): BudgetSchedule {
  return {
    initial: initTotalRank,
    target: targetTotalRank,
    warmup: initWarmup,
    finalTuning: finalWarmup,
    interval: maskInterval,
    steps: all,
  };
}

// --- internal ---

const labelWidth = 12;
const curveWidth = 64;

const count = (n: number) => n.toLocaleString("en-US");
const steps = (n: number) => `${count(n)} step${n === 1 ? "" : "s"}`;

function dataText({ rows, schedule: { trainRows, stepsPerEpoch } }: Plan): string {
  const windows = rows === trainRows ? "" : ` in ${count(trainRows)} windows`;
  return `${count(rows)} training rows${windows}, ${steps(stepsPerEpoch)} per epoch`;
}

function lengthText({ epochs, batchSize, gradAccum }: RunConfig, schedule: RunSchedule): string {
  const passes = epochs ?? schedule.steps / schedule.stepsPerEpoch;
  const batch =
    gradAccum === 1 ? `batches of ${batchSize}` : `${gradAccum} batches of ${batchSize} per step`;
  return `${steps(schedule.steps)} in ${Number(passes.toFixed(2))} epochs, ${batch}`;
}

function rateText(
  { lr, schedule: scheduleName, optimizer }: RunConfig,
  { warmupSteps }: RunSchedule,
) {
  const warmup = warmupSteps === 0 ? "" : `, after ${steps(warmupSteps)} of warm-up`;
  return `${lr}, ${scheduleName}${warmup}; ${optimizer}`;
}

/** Steps count from 1 here, as in the log. */
function phaseRows(schedule: RunSchedule, target: RankTarget, config: RunConfig): string[][] {
  const { initTotalRank: start, targetTotalRank: end } = target;
  const ranks = {
    "warm-up": `rank ${count(start)}`,
    budgeting: `rank ${count(start)} to ${count(end)} in ${count(schedule.prunings)} prunings`,
    final: `rank ${count(end)}`,
    training: `rank ${count(start)}`,
  };
  const rows = schedule.phases.map(({ name, first, last }) => [
    name,
    `${`${count(first + 1)}–${count(last + 1)}`.padEnd(18)}${ranks[name]}`,
  ]);
  const isPruned = schedule.phases.some(({ name }) => name !== "training");
  if (!isPruned) return rows;
  return [...rows, ["budget", budgetCurve(budgetSchedule(schedule, target, config), curveWidth)]];
}

function parameterRows({ target, matrices, modelParameters, trainedParameters }: Plan): string[][] {
  const model = [
    "model",
    `${count(modelParameters)} parameters, ${count(trainedParameters)} of them trained`,
  ];
  if (!target) return [model];
  const { initRank, targetRank, initParameters, targetParameters } = target;
  const falls = targetRank !== initRank;
  const ranks = falls
    ? `${initRank} to an average of ${Number(targetRank.toFixed(3))}`
    : `${initRank}`;
  const sizes = falls
    ? `${count(initParameters)} to ${count(targetParameters)}`
    : count(initParameters);
  const share = ((100 * targetParameters) / modelParameters).toFixed(2);
  return [
    ["ranks", `${ranks} in ${matrices} matrices (${target.basis})`],
    ["adapter", `${sizes} parameters, ${share}% of the model's`],
    model,
  ];
}

/** `--allocator` and `--start`, unless they are the method's defaults. */
function choiceRows({ method, allocator, start }: RunConfig): string[][] {
  return [
    ...(allocator === null || allocator === "adalora" ? [] : [["allocator", allocator]]),
    ...(start === null || start === startFor(method) ? [] : [["start", start]]),
  ];
}

function needsRows({ needs, config }: Plan): string[][] {
  const { weights, training, memory, checkpoint, disk } = needs;
  const { activation } = deviceFor(config).types(resolveDtype(config));
  const exact = activation === "f64" ? " in f64" : "";
  return [
    [
      "memory",
      `about ${byteSize(memory)}: ${byteSize(weights)} of weights, ${byteSize(training)} to train${exact}`,
    ],
    ["disk", `up to ${byteSize(disk)}, ${byteSize(checkpoint)} per checkpoint`],
  ];
}
