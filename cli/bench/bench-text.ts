import type { KernelTime } from "./profile.ts";
import { type Spread, titleOf, type WorkloadResult } from "./summary.ts";

/** Busy processors of other processes above which a figure should not be quoted. */
const MOST_OTHER_LOAD = 0.1;

/** Formats the figures as tables of medians, with the spread of the ratios. */
export function benchText(results: readonly WorkloadResult[]): string {
  const hasDevice = results.some(({ deviceMib }) => deviceMib !== undefined);
  const device = hasDevice ? ["device MiB"] : [];
  const head = ["workload", "s/step", "tokens/s", "MiB", ...device, "start s", "of bound"];
  const rows = results.map((r) => [
    titleOf(r),
    r.secondsPerStep.median.toFixed(3),
    Math.round(r.tokensPerSecond).toString(),
    r.peakRssMib.median.toFixed(0),
    ...(hasDevice ? [r.deviceMib?.median.toFixed(0) ?? ""] : []),
    r.startUpSeconds.median.toFixed(2),
    r.gemmBound.toFixed(2),
  ]);
  const profiles = results.flatMap((r) => (r.kernels ? [kernelTable(titleOf(r), r.kernels)] : []));
  const blocks = [table([head, ...rows]), peerTable(results), otherLoadText(results), ...profiles];
  return blocks.filter((block) => block !== "").join("\n\n");
}

/** Formats the figures as a Markdown table. */
export function benchMarkdown(results: readonly WorkloadResult[]): string {
  const head = [
    "workload",
    "adalora",
    "tokens/s",
    "of bound",
    "PEFT",
    "faster",
    "peak memory",
    "start to first step",
  ];
  const rows = results.map(({ peer, ...ours }) => [
    titleOf(ours),
    `${ours.secondsPerStep.median.toPrecision(3)} s`,
    Math.round(ours.tokensPerSecond).toString(),
    ours.gemmBound.toFixed(2),
    peer ? `${peer.secondsPerStep.median.toPrecision(3)} s` : "",
    peer ? ratio(peer.speedUp, 1) : "",
    peer ? ratio(peer.memory, 2) : "",
    peer ? ratio(peer.startUp, 2) : "",
  ]);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

// --- internal ---

function peerTable(results: readonly WorkloadResult[]): string {
  const head = ["beside PEFT", "s/step", "MiB", "start s", "faster", "memory", "start-up"];
  const rows = results.flatMap(({ peer, ...ours }) =>
    peer
      ? [
          [
            titleOf(ours),
            peer.secondsPerStep.median.toFixed(3),
            peer.peakRssMib.median.toFixed(0),
            peer.startUpSeconds.median.toFixed(2),
            ratio(peer.speedUp, 2),
            ratio(peer.memory, 2),
            ratio(peer.startUp, 2),
          ],
        ]
      : [],
  );
  return rows.length === 0 ? "" : table([head, ...rows]);
}

function otherLoadText(results: readonly WorkloadResult[]): string {
  const lines = results.flatMap(({ workload, otherLoad, peer }) => {
    const load = Math.max(otherLoad, peer?.otherLoad ?? 0);
    const failed = peer?.failed ?? 0;
    return [
      ...(load > MOST_OTHER_LOAD
        ? [`${workload}: other processes kept up to ${load.toFixed(1)} processors busy`]
        : []),
      ...(failed > 0 ? [`${workload}: PEFT failed in ${failed} of its rounds`] : []),
    ];
  });
  return lines.join("\n");
}

/** Aligns columns: the first to the left, the others to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => row[i]!.length)));
  const cell = (text: string, i: number) =>
    i === 0 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!);
  return rows.map((row) => row.map(cell).join("  ").trimEnd()).join("\n");
}

function ratio({ min, median, max }: Spread, digits: number): string {
  return `${median.toFixed(digits)}x (${min.toFixed(digits)}-${max.toFixed(digits)})`;
}

function kernelTable(title: string, kernels: readonly KernelTime[]): string {
  const total = kernels.reduce((sum, { seconds }) => sum + seconds, 0);
  const rows = kernels.map(
    ({ kernel, calls, seconds }) =>
      `  ${kernel.padEnd(32)}${String(calls).padStart(6)}${(seconds * 1000).toFixed(1).padStart(10)} ms${((100 * seconds) / total).toFixed(1).padStart(7)}%`,
  );
  return [`${title}: time by kernel over the timed steps`, ...rows].join("\n");
}
