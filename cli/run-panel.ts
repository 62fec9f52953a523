import { byteSize } from "./byte-size.ts";
import { cutToWidth } from "./text-width.ts";
import { printable } from "./printable.ts";
import { type Progress, progressLine } from "./progress.ts";
import { type Output, paint, type Painted } from "./terminal.ts";

/** What the panel of a run shows besides its progress. */
export interface RunPanel {
  /** Steps between evaluations; 0: the run has none. */
  readonly evalSteps: number;
  /** Task losses so far, oldest first, each of as many steps. */
  readonly losses: readonly number[];
  /** The metric that selects the best evaluation; undefined before the first one. */
  readonly metric: PanelMetric | undefined;
  /** Where the budget starts and ends; undefined for methods that don't prune. */
  readonly budget: PanelBudget | undefined;
  /** Mean rank of the matrices of each kind; [] for methods without ranks. */
  readonly ranks: readonly (readonly [module: string, rank: number])[];
  /** Resident memory of the process in bytes: now, and its peak where the system tells. */
  readonly memory: { readonly now: number; readonly peak: number | undefined };
}

/** A metric over the evaluations so far. */
export interface PanelMetric {
  readonly name: string;
  readonly values: readonly number[];
  /** Undefined if none so far is the best of the run, as after a resume. */
  readonly best: { readonly value: number; readonly step: number } | undefined;
}

/** A budget's ends, in ranks or parameters. */
export interface PanelBudget {
  readonly initial: number;
  readonly target: number;
}

/**
 * The lines of a run's panel, each shorter than the output is wide: progress, a bar with the
 * evaluations, the loss, the metric, the budget, ranks by kind of module, memory, and `status`. An
 * output too narrow for rows gets only the progress, cut to its width.
 */
export function panelLines(
  progress: Progress,
  panel: RunPanel,
  output: Painted & Pick<Output, "columns">,
  status?: string,
): readonly string[] {
  const width = output.columns - 1;
  if (width < NARROWEST) return [cutToWidth(progressLine(progress, width), width)];
  const row = (label: string, text: string) =>
    text === "" ? [] : [paint(output, "dim", label.padEnd(LABEL)) + text];
  const room = width - LABEL;
  return [
    cutToWidth(progressLine(progress, width), width),
    progressBar(progress, panel.evalSteps, width),
    ...row("loss", graphed(spark, panel.losses, progress.loss.toFixed(4), room)),
    ...row("metric", metricText(panel.metric, room)),
    ...row("budget", budgetText(progress.budget, panel.budget, room)),
    ...row("ranks", ranksText(panel.ranks, room)),
    ...row("memory", cutToWidth(memoryText(panel.memory), room)),
    ...(status === undefined ? [] : [cutToWidth(printable(status), width)]),
  ];
}

/** A graph of values, oldest first, in at most `width` characters; "" without any. */
export function spark(values: readonly number[], width: number): string {
  const known = values.filter(Number.isFinite);
  const shown = Math.min(width, known.length);
  const means = Array.from({ length: shown }, (_, i) => {
    const part = known.slice(
      Math.floor((i * known.length) / shown),
      Math.floor(((i + 1) * known.length) / shown),
    );
    return part.reduce((sum, one) => sum + one, 0) / part.length;
  });
  const [low, high] = [Math.min(...means), Math.max(...means)];
  const last = BARS.length - 1;
  return means
    .map((mean) => BARS[high > low ? Math.round((last * (mean - low)) / (high - low)) : 0])
    .join("");
}

// --- internal ---

/** Width of the column of labels. */
const LABEL = 8;
const BARS = "▁▂▃▄▅▆▇█";
/** Characters below which rows cannot be read. */
const NARROWEST = 20;
/** A graph of fewer characters says nothing. */
const SMALLEST = 6;
const WIDEST = 60;

/** A graph before a text, as wide as there is room; only the text where there is too little. */
function graphed<Values>(
  draw: (values: Values, width: number) => string,
  values: Values,
  text: string,
  room: number,
): string {
  const width = Math.min(WIDEST, room - Bun.stringWidth(text) - 2);
  const graph = width < SMALLEST ? "" : draw(values, width);
  return cutToWidth(`${graph === "" ? "" : `${graph}  `}${text}`, room);
}

/** The steps that are done, with a mark at each evaluation where they are far enough apart. */
function progressBar({ step, steps }: Progress, evalSteps: number, width: number): string {
  const cells = Math.min(width, 100);
  const done = Math.floor((cells * step) / steps);
  const isMarked = evalSteps > 0 && (cells * evalSteps) / steps >= 3;
  const count = isMarked ? Math.ceil(steps / evalSteps) - 1 : 0;
  const marks = new Set(
    Array.from({ length: count }, (_, i) => Math.floor((cells * (i + 1) * evalSteps) / steps)),
  );
  return Array.from({ length: cells }, (_, i) =>
    marks.has(i) ? (i < done ? "┿" : "┼") : i < done ? "━" : "─",
  ).join("");
}

function metricText(metric: PanelMetric | undefined, room: number): string {
  if (!metric) return "";
  const { name, values, best } = metric;
  const now = `${printable(name)} ${values.at(-1)?.toFixed(4)}`;
  const whole = best ? `${now}, best ${best.value.toFixed(4)} at step ${best.step}` : now;
  return graphed(spark, values, Bun.stringWidth(whole) <= room ? whole : now, room);
}

function budgetText(
  now: number | undefined,
  budget: PanelBudget | undefined,
  room: number,
): string {
  if (now === undefined || !budget) return "";
  const count = (value: number) => Math.round(value).toLocaleString("en-US");
  const { initial, target } = budget;
  const whole = `${count(now)} of ${count(initial)}, target ${count(target)}`;
  const text = whole.length <= room ? whole : `${count(now)} → ${count(target)}`;
  return graphed(budgetBar, { now, ...budget }, text, room);
}

/** Three parts: the target, what is still to be pruned, and what has been pruned. */
function budgetBar(
  { now, initial, target }: PanelBudget & { readonly now: number },
  width: number,
): string {
  const cells = (value: number) => Math.round((Math.min(width, 40) * value) / initial);
  // An allocator from outside may report a budget beyond its ends.
  const whole = cells(initial);
  const left = Math.min(whole, cells(Math.max(now, target)));
  const kept = Math.min(left, cells(target));
  return "█".repeat(kept) + "▓".repeat(left - kept) + "░".repeat(whole - left);
}

/** As many kinds of modules as fit. */
function ranksText(ranks: RunPanel["ranks"], room: number): string {
  const parts = ranks.map(([module, rank]) => `${printable(module)} ${rank.toFixed(1)}`);
  let text = "";
  for (const [i, part] of parts.entries()) {
    const longer = text === "" ? part : `${text}  ${part}`;
    const more = i < parts.length - 1 ? " …" : "";
    if (Bun.stringWidth(longer + more) > room) return text === "" ? "" : `${text} …`;
    text = longer;
  }
  return text;
}

function memoryText({ now, peak }: RunPanel["memory"]): string {
  return `${byteSize(now)}${peak === undefined ? "" : `, peak ${byteSize(peak)}`}`;
}
