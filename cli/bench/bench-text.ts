import type { KernelTime } from "./profile.ts";
import type { Spread, WorkloadResult } from "./summary.ts";

/** The figures as a table; medians, with the spread of the speed-up. */
export function benchText(results: readonly WorkloadResult[]): string {
  const head = [
    "workload",
    "s/step",
    "tokens/s",
    "MiB",
    "start s",
    "of bound",
    "PEFT s/step",
    "speed-up",
    "memory",
    "start-up",
  ];
  const rows = results.map((r) => [
    r.workload,
    r.secondsPerStep.median.toFixed(3),
    Math.round(r.tokensPerSecond).toString(),
    r.peakRssMib.median.toFixed(0),
    r.startUpSeconds.median.toFixed(2),
    r.gemmBound.toFixed(2),
    ...(r.peer
      ? [
          r.peer.secondsPerStep.median.toFixed(3),
          ratio(r.peer.speedUp),
          `${r.peer.memory.toFixed(2)}x`,
          `${r.peer.startUp.toFixed(2)}x`,
        ]
      : ["", "", "", ""]),
  ]);
  const widths = head.map((name, i) =>
    Math.max(name.length, ...rows.map((row) => row[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join("  ")
      .trimEnd();
  const profiles = results.flatMap(({ workload, kernels }) =>
    kernels ? [kernelTable(workload, kernels)] : [],
  );
  return [[line(head), ...rows.map(line)].join("\n"), ...profiles].join("\n\n");
}

function ratio({ min, median, max }: Spread): string {
  return `${median.toFixed(2)}x (${min.toFixed(2)}-${max.toFixed(2)})`;
}

function kernelTable(workload: string, kernels: readonly KernelTime[]): string {
  const total = kernels.reduce((sum, { seconds }) => sum + seconds, 0);
  const rows = kernels.map(
    ({ kernel, calls, seconds }) =>
      `  ${kernel.padEnd(32)}${String(calls).padStart(6)}${(seconds * 1000).toFixed(1).padStart(10)} ms${((100 * seconds) / total).toFixed(1).padStart(7)}%`,
  );
  return [`${workload}: time by kernel over the timed steps`, ...rows].join("\n");
}
