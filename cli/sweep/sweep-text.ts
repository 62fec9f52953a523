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
  const reasons = new Set(configurations.flatMap(({ whyAnew }) => whyAnew ?? []));
  const continuing = configurations.some(({ whyAnew }) => whyAnew === undefined)
    ? ["a rung continues the runs of the one before: their rate does not depend on their length"]
    : [];
  return [
    `${configurations.length} configurations, ${counts} of the steps, chosen by ${slice}`,
    ...continuing,
    ...[...reasons].map(
      (reason) => `each rung trains anew, with its phases in miniature: ${reason}`,
    ),
  ];
}

/** A finished sweep as a page: every configuration, the best first, and the command of the best. */
export function sweepText(
  sweep: Sweep,
  command: string | null,
  out: string,
  output: Output,
): string {
  const { subject, rungs, configurations, failures } = sweep;
  const { task, metric, isHigherBetter, heldOut } = subject;
  const titles = rungs.map(({ share }) => (rungs.length === 1 ? metric : percent(share)));
  const [header = "", ...rows] = aligned([
    ["configuration", ...titles, "time", "memory"],
    ...configurations.map((one) => cellsOf(one, rungs.length)),
  ]);
  const better = isHigherBetter ? "" : ", lower is better";
  const lengths = rungs.length === 1 ? "" : ", by share of the steps";
  return [
    paint(
      output,
      "bold",
      `${task}: ${metric} on ${percent(heldOut)} of the training rows${lengths}${better}`,
    ),
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

function cellsOf(swept: SweptConfiguration, rungs: number): readonly string[] {
  const values = Array.from({ length: rungs }, (_, i) => {
    const found = swept.rungs[i];
    if (found === undefined) return "-";
    return found.value === null ? "failed" : found.value.toFixed(4);
  });
  const [seconds, memory] = [secondsOf(swept), memoryOf(swept)];
  return [
    printable(swept.configuration.choice.name),
    ...values,
    seconds === null ? "-" : duration(seconds),
    memory === null ? "-" : byteSize(memory),
  ];
}
