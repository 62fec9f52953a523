import { type BudgetSchedule, budgetAt } from "../core/adalora/budget.ts";
import { startFor } from "../core/config/method.ts";
import { configToJson, type RunConfig } from "../core/config/run-config.ts";
import { budgetSchedule } from "../core/run/budget-schedule.ts";
import type { DeviceMemory } from "../core/device.ts";
import type { TimeEstimate } from "../core/run/estimate-time.ts";
import type { DataOverview } from "../core/run/overview.ts";
import type { RunSchedule } from "../core/run/phases.ts";
import type { RunNeeds } from "../core/run/needs.ts";
import type { StartingSummary } from "../core/run/starting-summary.ts";
import type { RankTarget } from "../core/run/target.ts";
import { byteSize } from "./byte-size.ts";
import { dataRows, type PageRow, sampleText } from "./data-text.ts";
import { printable } from "./printable.ts";
import { duration } from "./progress.ts";
import { paint, type Output } from "./terminal.ts";
import { labelled, pageWidth, wrapped } from "./wrap.ts";

/** Where a run computes. */
export interface Machine {
  readonly device: string;
  /** Type of frozen weights and activations. */
  readonly dtype: string;
  readonly threads: number;
  /** The device's memory, where that is not the host's. */
  readonly memory?: DeviceMemory;
}

/** What a run would do. */
export interface Plan {
  readonly config: RunConfig;
  readonly schedule: RunSchedule;
  /** Rows of the training data. The schedule counts windows instead, several per long context. */
  readonly rows: number;
  readonly data: DataOverview;
  /** Training rows that are evaluated on instead; undefined if there is other data for that. */
  readonly heldOutRows?: number | undefined;
  /** Undefined for methods without adapters. */
  readonly target: RankTarget | undefined;
  /** The seeds of several runs; undefined for a single run. */
  readonly seeds: readonly number[] | undefined;
  /** The adapter that the run starts from; undefined for a new adapter. */
  readonly from?: StartingSummary | undefined;
  /** Matrices that get an adapter. */
  readonly matrices: number;
  readonly modelParameters: number;
  /** Parameters of the model itself that are trained: its head, for most methods. */
  readonly trainedParameters: number;
  readonly machine: Machine;
  readonly needs: RunNeeds;
  /** A start that suits the run better, and why; undefined if the chosen one does. */
  readonly startAdvice?: string | undefined;
  /** How the run was fitted into --memory. */
  readonly fit?: string | undefined;
  /** Undefined unless measured. */
  readonly time?: TimeEstimate;
  readonly warnings: readonly string[];
}

/** A plan as a page, as wide as the terminal. */
export function planText(plan: Plan, output: Output): string {
  const { config, schedule, target, seeds, data, startAdvice, fit, warnings } = plan;
  const width = pageWidth(output);
  const rows: PageRow[] = [
    ["data", dataText(plan)],
    ...dataRows(data, plan.heldOutRows !== undefined),
    ["length", lengthText(config, schedule)],
    ["rate", rateText(config, schedule)],
    ...(target ? phaseRows(schedule, target, config, width) : []),
    ...startingRows(plan),
    ...parameterRows(plan),
    ...choiceRows(config),
    ...(startAdvice === undefined ? [] : [["start", startAdvice] as const]),
    deviceRow(plan.machine, plan.config.tf32),
    ...needsRows(plan),
    ...(fit === undefined ? [] : [["", fit] as const]),
    ["time", timeText(plan)],
    ...(seeds
      ? [["seeds", `${count(seeds.length)} such runs, with ${seeds.join(", ")}`] as const]
      : []),
  ];
  const warningLines = warnings.map((text) => warningLine(text, output));
  const samples = data.samples.map((sample) => indented(sampleText(sample), width));
  const blocks = [
    paint(output, "bold", titleText(plan)),
    pageText(rows, width),
    ...(samples.length === 0 ? [] : [["as the model reads them", ...samples].join("\n")]),
    warningLines.join("\n"),
  ];
  return blocks.filter((block) => block !== "").join("\n\n");
}

/** The head of a run: what it trains on, for how long and where. */
export function headText(plan: Plan, output: Output): string {
  const { config, schedule, data } = plan;
  const rows = [
    ["data", dataText(plan)],
    ...dataRows(data, plan.heldOutRows !== undefined),
    ["length", lengthText(config, schedule)],
    deviceRow(plan.machine, plan.config.tf32),
    ["memory", memoryText(plan)],
  ] as const;
  return `${titleText(plan)}\n${pageText(rows, pageWidth(output))}`;
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

// --- internal ---

const labelWidth = 12;
const maxCurveWidth = 64;

const count = (n: number) => n.toLocaleString("en-US");
const steps = (n: number) => `${count(n)} step${n === 1 ? "" : "s"}`;

const titleText = ({ config }: Plan) =>
  `${config.task}: ${config.method} on ${printable(config.model)}`;

const pageText = (rows: readonly PageRow[], width: number) =>
  rows.map(([label, text]) => labelled(label, text, { indent: labelWidth, width })).join("\n");

const indented = (text: string, width: number) =>
  wrapped(printable(text), width - 2)
    .map((line) => `  ${line}`)
    .join("\n");

function warningLine(text: string, output: Output): string {
  const [first = "", ...rest] = wrapped(printable(text), pageWidth(output) - 6);
  const lines = [`${paint(output, "yellow", "warn")}  ${first}`];
  return [...lines, ...rest.map((line) => `      ${line}`)].join("\n");
}

function dataText({ rows, schedule: { trainRows, stepsPerEpoch } }: Plan): string {
  const windows = rows === trainRows ? "" : ` in ${count(trainRows)} windows`;
  return `${count(rows)} training rows${windows}, ${steps(stepsPerEpoch)} per epoch`;
}

function lengthText(
  { epochs, batchSize, gradAccum, microBatch }: RunConfig,
  schedule: RunSchedule,
): string {
  const passes = epochs ?? schedule.steps / schedule.stepsPerEpoch;
  const batch =
    gradAccum === 1 ? `batches of ${batchSize}` : `${gradAccum} batches of ${batchSize} per step`;
  const isSplit = microBatch !== null && microBatch < batchSize;
  const micro = isSplit ? `, ${microBatch} examples at a time` : "";
  return `${steps(schedule.steps)} in ${Number(passes.toFixed(2))} epochs, ${batch}${micro}`;
}

function rateText(
  { lr, lrE, schedule: scheduleName, optimizer }: RunConfig,
  { warmupSteps }: RunSchedule,
) {
  const warmup = warmupSteps === 0 ? "" : `, after ${steps(warmupSteps)} of warm-up`;
  const ofE = lrE === null ? "" : ` (${lrE} for E)`;
  return `${lr}${ofE}, ${scheduleName}${warmup}; ${optimizer}`;
}

/** Steps count from 1 here, as in the log. */
function phaseRows(
  schedule: RunSchedule,
  target: RankTarget,
  config: RunConfig,
  width: number,
): PageRow[] {
  const { unit, initial: start, target: end } = target.budget;
  const shown = (range: string) => (unit === "ranks" ? `rank ${range}` : `${range} parameters`);
  const ranks = {
    "warm-up": shown(count(start)),
    budgeting: `${shown(`${count(start)} to ${count(end)}`)} in ${count(schedule.prunings)} prunings`,
    final: shown(count(end)),
    training: `rank ${count(target.initTotalRank)}`,
  };
  const rows = schedule.phases.map(({ name, first, last }): PageRow => [
    name,
    `${`${count(first + 1)}–${count(last + 1)}`.padEnd(18)}${ranks[name]}`,
  ]);
  const isPruned = schedule.phases.some(({ name }) => name !== "training");
  if (!isPruned) return rows;
  const curveWidth = Math.min(maxCurveWidth, width - labelWidth);
  return [...rows, ["budget", budgetCurve(budgetSchedule(schedule, target, config), curveWidth)]];
}

function parameterRows({ target, matrices, modelParameters, trainedParameters }: Plan): PageRow[] {
  const model: PageRow = [
    "model",
    `${count(modelParameters)} parameters, ${count(trainedParameters)} of them trained`,
  ];
  if (!target) return [model];
  const { initRank, targetRank, initTotalRank, initParameters, targetParameters } = target;
  const falls = target.budget.target < target.budget.initial;
  const average = (rank: number) => `an average of ${Number(rank.toFixed(3))}`;
  const isUniform = initTotalRank === initRank * matrices;
  const initial = isUniform ? `${initRank}` : average(initTotalRank / matrices);
  const ranks = falls ? `${initial} to ${average(targetRank)}` : initial;
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

/** Modules that are named. */
const MAX_SHOWN = 5;

/** What comes from the adapter of `--from`. */
function startingRows({ from }: Plan): PageRow[] {
  if (!from) return [];
  const { method, name, triplets, initialTriplets, conversion, saved } = from;
  const kind = method === "adalora" ? "AdaLoRA" : "LoRA";
  const unit = method === "adalora" ? "triplets" : "ranks";
  const pruned = initialTriplets - triplets;
  const fate = { kept: "stay pruned", revived: "start anew with E = 0", svd: "", none: "" };
  const values =
    conversion === "svd"
      ? `${count(triplets)} ${unit} by the SVD of each increment, the others with E = 0`
      : `${count(triplets)} ${unit}${pruned > 0 ? `, ${count(pruned)} pruned ones ${fate[conversion]}` : ""}`;
  const more = saved.length > MAX_SHOWN ? [`and ${count(saved.length - MAX_SHOWN)} more`] : [];
  const shown = [...saved.slice(0, MAX_SHOWN).map((path) => printable(path)), ...more].join(", ");
  const whole = saved.length === 0 ? "no module" : shown;
  return [
    ["from", `${kind} ${printable(name)}`],
    ["", values],
    ["", `in full: ${whole}`],
  ];
}

/** `--allocator` and `--start`, unless they are the method's defaults. */
function choiceRows({ method, allocator, start, task }: RunConfig): PageRow[] {
  return [
    ...(allocator === null || allocator === "adalora" ? [] : [["allocator", allocator] as const]),
    ...(start === null || start === startFor(method, task) ? [] : [["start", start] as const]),
  ];
}

/** Where a run computes, and how. */
export function deviceRow({ device, dtype, threads }: Machine, tf32: boolean): PageRow {
  const rounding = tf32 ? ", products in TF32" : "";
  return [
    "device",
    `${device}, ${dtype}${rounding}, ${count(threads)} thread${threads === 1 ? "" : "s"}`,
  ];
}

function needsRows(plan: Plan): PageRow[] {
  const { checkpoint, disk } = plan.needs;
  return [
    ["memory", memoryText(plan)],
    ["disk", `up to ${byteSize(disk)}, ${byteSize(checkpoint)} per checkpoint`],
  ];
}

function memoryText({ needs: { weights, training, memory }, machine }: Plan): string {
  const exact = machine.dtype === "f64" ? " in f64" : "";
  const parts = `${byteSize(weights)} of weights, ${byteSize(training)} to train${exact}`;
  const own = machine.memory;
  if (own === undefined) return `about ${byteSize(memory)}: ${parts}`;
  const { free, total } = own;
  return `about ${byteSize(memory)} of ${byteSize(free)} free on the device (${byteSize(total)} in all): ${parts}`;
}

function timeText({ time, config }: Plan): string {
  if (time === undefined) return "not measured: --time takes a few steps to estimate it";
  const { seconds, stepSeconds, evaluationSeconds, evaluations, measuredSteps } = time;
  const most = config.earlyStopping > 0 ? "at most " : "";
  const each = `${steps(time.steps)} of ${shortTime(stepSeconds)}`;
  const evals =
    evaluations === 0
      ? "no evaluation"
      : `${count(evaluations)} evaluation${evaluations === 1 ? "" : "s"} of ${shortTime(evaluationSeconds)}`;
  return `${most}about ${duration(seconds)}: ${each}, ${evals} (from ${steps(measuredSteps)})`;
}

/** A time, with two significant digits below 10 s: "0.18 s", "12 s". */
const shortTime = (seconds: number) =>
  seconds < 10 ? `${Number(seconds.toPrecision(2))} s` : duration(seconds);
