import { aligned } from "../aligned.ts";
import { byteSize } from "../byte-size.ts";
import { printable } from "../printable.ts";
import { duration } from "../progress.ts";
import { type Output, paint } from "../terminal.ts";
import type { PlannedSweep } from "./plan-sweep.ts";
import { memoryOf, secondsOf, type Sweep, type SweptConfiguration } from "./sweep.ts";

/** What a sweep is about to do: how many runs of which lengths, and whether rungs continue. */
export function planLines({ rungs, configurations, subject }: PlannedSweep): readonly string[] {
  const { metric, heldOut } = subject;
  const slice = `${metric} on ${percent(heldOut)} of the training rows`;
  if (rungs.length === 1) return [`${configurations.length} configurations, chosen by ${slice}`];
  const counts = rungs.map(({ count, share }) => `${count} at ${percent(share)}`).join(", ");
  const reasons = new Set(configurations.flatMap(({ restartReason }) => restartReason ?? []));
  const continuing = configurations.some(({ restartReason }) => restartReason === undefined)
    ? ["a rung continues the runs of the one before: their rate does not depend on their length"]
    : [];
  return [
    `${configurations.length} configurations, ${counts} of the steps, chosen by ${slice}`,
    ...continuing,
    ...[...reasons].map(
      (reason) => `each rung trains from scratch, with its phases scaled down: ${reason}`,
    ),
  ];
}

/** "rte: accuracy on 10% of the training rows" */
export function sweepTitle({ subject, rungs }: Sweep): string {
  const { task, metric, heldOut, isHigherBetter } = subject;
  const lengths = rungs.length === 1 ? "" : ", by share of the steps";
  const better = isHigherBetter ? "" : ", lower is better";
  return `${task}: ${metric} on ${percent(heldOut)} of the training rows${lengths}${better}`;
}

/** Columns of the table of configurations, after the name. */
export function configurationColumns({ rungs, subject }: Sweep): readonly string[] {
  const titles = rungs.map(({ share }) => (rungs.length === 1 ? subject.metric : percent(share)));
  return [...titles, "time", "memory"];
}

/** A configuration's cells: its value in each rung, time and memory. */
export function configurationCells(swept: SweptConfiguration, rungs: number): readonly string[] {
  const values = Array.from({ length: rungs }, (_, i) => {
    const found = swept.rungs[i];
    if (found === undefined) return "-";
    return found.value === null ? "failed" : found.value.toFixed(4);
  });
  const [seconds, memory] = [secondsOf(swept), memoryOf(swept)];
  return [
    ...values,
    seconds === null ? "-" : duration(seconds),
    memory === null ? "-" : byteSize(memory),
  ];
}

/** A finished sweep as a page: every configuration, the best first, and the command of the best. */
export function sweepText(
  sweep: Sweep,
  command: string | null,
  out: string,
  output: Output,
): string {
  const { rungs, configurations, failures } = sweep;
  const [header = "", ...rows] = aligned([
    ["configuration", ...configurationColumns(sweep)],
    ...configurations.map((one) => [
      printable(one.configuration.choice.name),
      ...configurationCells(one, rungs.length),
    ]),
  ]);
  return [
    paint(output, "bold", sweepTitle(sweep)),
    [paint(output, "dim", header), ...rows].join("\n"),
    command === null ? "no configuration finished" : `best configuration:\n  ${printable(command)}`,
    ...(failures.length > 0
      ? [failures.map(({ run, error }) => printable(`failed: ${run}: ${error}`)).join("\n")]
      : []),
    `files in ${printable(out)}`,
  ].join("\n\n");
}

// --- internal ---

const percent = (share: number) => `${Number((100 * share).toPrecision(3))}%`;
