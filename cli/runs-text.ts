import type { ListedRun } from "./list-runs.ts";
import { printable } from "./printable.ts";
import { type Output, paint } from "./terminal.ts";
import { padToWidth } from "./text-width.ts";

/** Formats a list of runs as a table, with the commands that resume the stopped ones below it. */
export function runsText(runs: readonly ListedRun[], folder: string, output: Output): string {
  if (runs.length === 0) return `no runs in ${printable(folder)}`;
  const head = ["run", "task", "method", "ranks", "metric", "state"];
  const rows = runs.map((run) => [
    printable(run.folder),
    printable(run.task ?? "–"),
    printable(run.method ?? "–"),
    ranksText(run),
    metricText(run),
    stateText(run),
  ]);
  const widths = head.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => Bun.stringWidth(row[i]!))),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === cells.length - 1 ? cell : padToWidth(cell, widths[i]!)))
      .join("  ");
  const commands = runs.flatMap(({ resume }) => (resume === null ? [] : [printable(resume)]));
  return [
    [paint(output, "bold", line(head)), ...rows.map(line)].join("\n"),
    ...(commands.length > 0
      ? [["to resume:", ...commands.map((one) => `  ${one}`)].join("\n")]
      : []),
  ].join("\n\n");
}

// --- internal ---

function ranksText({ ranks }: ListedRun): string {
  if (ranks === null) return "–";
  return ranks.kept === ranks.initial ? String(ranks.kept) : `${ranks.kept} of ${ranks.initial}`;
}

const metricText = ({ metric }: ListedRun) =>
  metric === null ? "–" : `${printable(metric.name)} ${metric.value.toFixed(4)}`;

function stateText({ state, step, steps, problem }: ListedRun): string {
  if (state === "unreadable") return `unreadable: ${printable(problem ?? "")}`;
  const of = steps === null ? "" : ` of ${steps}`;
  if (state === "finished") return `finished, ${step} steps`;
  return state === "running" ? `running, step ${step}${of}` : `stopped at step ${step}${of}`;
}
