import type { ArmsReport } from "../report-page/arms-page.ts";
import { rungsChart } from "../report-page/charts/rungs.ts";
import { failureNotes, problemText } from "../report-page/failure-notes.ts";
import { html } from "../report-page/html.ts";
import { readRun } from "../report-page/read-run.ts";
import type { Sweep } from "./sweep.ts";
import { configurationCells, configurationColumns, sweepTitle } from "./sweep-text.ts";

/** What the report of a sweep shows; `command`: what trains its best configuration. */
export function sweepReport(sweep: Sweep, command: string | null): ArmsReport {
  const { subject, rungs, configurations, best, failures } = sweep;
  const points = configurations.flatMap((one) =>
    one.rungs.flatMap(({ steps, value }) =>
      value === null ? [] : [{ configuration: nameOf(one), steps, value, isBest: one === best }],
    ),
  );
  const drawn = configurations.slice(0, MOST_DRAWN);
  const more = configurations.length - drawn.length;
  return {
    title: sweepTitle(sweep),
    about: `${configurations.length} configurations, ${rungs.length === 1 ? "each trained once" : `${rungs.length} rungs`}, seed ${subject.seed}`,
    problem: problemText(failures),
    tables: [
      {
        title: "Configurations",
        of: "configuration",
        columns: configurationColumns(sweep),
        rows: configurations.map((one) => ({
          name: nameOf(one),
          cells: configurationCells(one, rungs.length),
          isMarked: one === best,
        })),
        ...(more > 0 ? { note: `curves and settings: of the best ${MOST_DRAWN}` } : {}),
      },
    ],
    charts: rungs.length > 1 ? [rungsChart(subject.metric, points)] : [],
    arms: drawn.map((one) => ({
      name: nameOf(one),
      runs: one.rungs.slice(-1).map(({ out }) => readRun(out)),
    })),
    notes: [
      ...(command === null
        ? []
        : [html`<p class="note">The best on all training rows: <code>${command}</code></p>`]),
      ...failureNotes(failures),
    ],
  };
}

// --- internal ---

/** A sweep may have hundreds of configurations, of which the best matter. */
const MOST_DRAWN = 8;

const nameOf = ({ configuration }: Sweep["configurations"][number]) => configuration.choice.name;
