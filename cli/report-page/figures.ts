import { isJsonObject } from "../../core/io/json-file.ts";
import { duration } from "../progress.ts";
import { numberText } from "./charts/chart.ts";
import { html, type Markup } from "./html.ts";
import type { ReportedRun } from "./read-run.ts";
import { metricsOf } from "./metric-table.ts";
import { bytesText } from "./table-parts.ts";

/** The state of a run in words: "finished", "stopped early at step 200", "at step 120 of 1500". */
export function stateText({ result, log }: ReportedRun): string {
  if (result?.stoppedBy === "early stopping") return `stopped early at step ${result.steps}`;
  if (result) return "finished";
  const steps = Number(log.head["steps"]);
  return `not finished: at step ${log.lastStep}${steps > 0 ? ` of ${steps}` : ""}`;
}

/** The numbers that a reader looks for first. */
export function keyFigures(run: ReportedRun): Markup {
  const { log, result, time } = run;
  const [split, metrics] = Object.entries(metricsOf(run))[0] ?? [];
  const name = result?.best ? result.metric : Object.keys(metrics ?? {})[0];
  const value = name === undefined ? undefined : metrics?.[name];
  const best = result?.best;
  const bestValue =
    best && name !== undefined && split !== undefined && best.metrics[split]?.[name];
  const seconds = time && time.start + time.training + time.evaluation;
  const steps = Number(log.head["steps"]);
  return html`<dl class="figures">
    ${value === undefined ? undefined : figure(`${split} ${name}`, numberText(value), typeof bestValue === "number" ? `best ${numberText(bestValue)} at step ${best?.step}` : undefined)}
    ${rankFigure(run)}
    ${figure("steps", String(result?.steps ?? log.lastStep), steps > 0 ? `of ${steps}, ${numberText(Number(log.head["steps_per_epoch"]))} an epoch` : undefined)}
    ${seconds === undefined ? undefined : figure("time", duration(seconds), time && `${duration(time.evaluation)} of it evaluation`)}
    ${speedFigure(run)}
    ${result && figure("peak memory", bytesText(result.peakMemory.process), `${bytesText(result.peakMemory.buffers)} in buffers`)}
  </dl>`;
}

// --- internal ---

const figure = (name: string, value: string, about?: string): Markup =>
  html`<div>
    <dt>${name}</dt>
    <dd>${value}${about === undefined ? undefined : html`<small>${about}</small>`}</dd>
  </div>`;

function rankFigure({ log, result }: ReportedRun): Markup | undefined {
  const before = Number(log.head["init_total_rank"] ?? Number.NaN);
  const now = result?.totalRank?.reached ?? log.masks.at(-1)?.kept ?? before;
  if (!Number.isFinite(now)) return undefined;
  const parameters = isJsonObject(log.head) ? Number(log.head["target_parameters"]) : Number.NaN;
  const size = parameters > 0 ? `, ${parameters.toLocaleString("en-US")} parameters` : "";
  return figure(
    "ranks kept",
    String(now),
    before === now ? `all of them${size}` : `of ${before}${size}`,
  );
}

function speedFigure({ log }: ReportedRun): Markup | undefined {
  const sorted = log.curves.tokens_per_second.values.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)];
  if (median === undefined) return undefined;
  return figure("speed", median.toLocaleString("en-US"), "tokens a second, median");
}
