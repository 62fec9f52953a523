/**
 * Prints the tables of docs/allocation.md from the lines of collect.ts:
 *
 *   bun examples/experiments/allocation/tables.ts runs.jsonl sst2,stsb
 *
 * Differences are paired by task and seed, several average ranks averaged first; pooled over tasks
 * every pair counts once, in points of its own metric: over all tasks, and over those named. The
 * intervals are those of `adalora compare`.
 */
import { spreadOf } from "../../../cli/compare/statistics.ts";
import type { RunLine } from "./collect.ts";
import { type Compared, differenceOf, differenceText, inLoss, inPoints } from "./differences.ts";
import { table } from "./markdown.ts";
import { finalsOf, INITIAL } from "./rates.ts";
import { readRuns, scoreText, tasksIn } from "./runs.ts";

/** Runs whose differences from each other answer a question of the page. */
const questions: readonly (readonly [arm: string, baseline: string])[] = [
  ["adalora", "lora"],
  ["adalora:start=lora", "lora"],
  ["uniform:start=lora", "lora"],
  ["random:start=lora", "lora"],
  ["lora-cut", "lora"],
  ["svd-lora:start=lora", "lora"],
  ["adalora:lr-e=0.02", "lora"],
  ["adalora:start=lora", "uniform:start=lora"],
  ["adalora", "uniform"],
  ["adalora:start=lora", "random:start=lora"],
  ["adalora:start=lora", "lora-cut"],
  ["adalora:start=lora", "svd-lora:start=lora"],
  ["uniform:start=lora", "svd-lora:start=lora"],
  ["adalora:start=lora", "adalora"],
  ["adalora:lr-e=0.02", "adalora"],
  ["adalora:start=lora", "adalora:lr-e=0.02"],
  [INITIAL, "lora"],
  ["adalora", INITIAL],
  ["adalora:start=lora", INITIAL],
  ["uniform:start=lora", INITIAL],
  ["lora-cut", INITIAL],
];

/** All tables of runs, by dtype and average rank; `pooled` are tasks to pool besides all of them. */
export function allTables(runs: readonly RunLine[], pooled: readonly string[]): string {
  const dtypes = [...new Set(runs.map(({ dtype }) => dtype))];
  const blocks = dtypes.flatMap((dtype) => {
    const ofDtype = runs.filter((line) => line.dtype === dtype);
    const ranks = [4, 2, 1].filter((rank) => ofDtype.some((line) => line.rank === rank));
    const ofAllRanks = ranks.flatMap((rank) => finalsOf(rank, ofDtype));
    return [
      ...ranks.flatMap((rank) => rankTables(rank, ofDtype, pooled)),
      ...(ranks.length > 1
        ? [`## All average ranks, ${dtype}`, differences(ofAllRanks, pooled, inPoints)]
        : []),
    ];
  });
  return blocks
    .filter((block) => block !== "")
    .map((block) => `${block}\n\n`)
    .join("");
}

// --- internal ---

function rankTables(rank: number, runs: readonly RunLine[], pooled: readonly string[]): string[] {
  const finals = finalsOf(rank, runs);
  const tuning = runs.filter((line) => line.rank === rank && line.isTuning);
  return [
    `## Average rank ${rank}, ${runs[0]?.dtype}`,
    scores(finals),
    differences(finals, pooled, inPoints),
    differences(finals, pooled, inLoss),
    costs(finals),
    rates(tuning),
  ];
}

/** Mean ± standard deviation of the metric in points, and the number of seeds. */
function scores(lines: readonly RunLine[]): string {
  const tasks = tasksIn(lines);
  return table(
    ["arm", ...tasks.flatMap((task) => [task, "loss"])],
    armsIn(lines).map((arm) => [
      arm,
      ...tasks.flatMap((task) => {
        const runs = lines.filter((line) => line.arm === arm && line.task === task);
        if (runs.length === 0) return ["", ""];
        const loss = spreadOf(runs.map(({ lastLoss }) => lastLoss)).mean;
        return [scoreText(runs), loss.toFixed(3)];
      }),
    ]),
  );
}

/** Paired differences with their intervals, and wins-ties-losses. */
function differences(lines: readonly RunLine[], pooled: readonly string[], compared: Compared) {
  const tasks = tasksIn(lines);
  const some = tasks.filter((task) => pooled.includes(task));
  const rows = questions.map(([arm, baseline]) => [
    `${arm} − ${baseline}`,
    ...[...tasks.map((task) => [task]), tasks, some].map((those) => {
      const difference = differenceOf([arm, baseline], those, lines, compared);
      return difference ? differenceText(difference) : "";
    }),
  ]);
  return table(
    [compared.what, ...tasks, "pooled", `pooled: ${some.join(", ")}`],
    rows.filter((row) => row.slice(1).some((cell) => cell !== "")),
  );
}

/** What runs are, and what they cost on average. */
function costs(lines: readonly RunLine[]): string {
  const tasks = tasksIn(lines);
  const header = ["arm", "parameters", ...tasks.flatMap((task) => [`${task}: lr`, "training s"])];
  return table(
    [...header, "peak MiB"],
    armsIn(lines).map((arm) => {
      const runs = lines.filter((line) => line.arm === arm);
      const [least, most] = [Math.min, Math.max].map((of) =>
        of(...runs.map(({ parameters }) => parameters)),
      );
      const sizes = least === most ? [least] : [least, most];
      return [
        arm,
        sizes.map((size) => size?.toLocaleString("en-US")).join(" to "),
        ...tasks.flatMap((task) => {
          const those = runs.filter((line) => line.task === task);
          if (those.length === 0) return ["", ""];
          const seconds = spreadOf(those.map(({ trainingSeconds }) => trainingSeconds));
          return [[...new Set(those.map(({ lr }) => lr))].join(", "), seconds.median.toFixed(0)];
        }),
        (Math.max(...runs.map(({ memory }) => memory)) / 2 ** 20).toFixed(0),
      ];
    }),
  );
}

/** What each learning rate reached on the rows held out of training. */
function rates(lines: readonly RunLine[]): string {
  const tasks = tasksIn(lines);
  const tried = [...new Set(lines.map(({ lr }) => lr))].toSorted((a, b) => a - b);
  if (tried.length === 0) return "";
  return table(
    ["arm", ...tasks.flatMap((task) => tried.map((lr) => `${task}, ${lr}`))],
    armsIn(lines).map((arm) => [
      arm,
      ...tasks.flatMap((task) =>
        tried.map((lr) => {
          const one = lines.find(
            (line) => line.arm === arm && line.task === task && line.lr === lr,
          );
          return one ? (100 * one.value).toFixed(2) : "";
        }),
      ),
    ]),
  );
}

/** Arms in the order of the questions. */
function armsIn(lines: readonly RunLine[]): string[] {
  const order = ["lora", ...new Set(questions.map(([arm]) => arm))];
  const placeOf = (arm: string) => (order.includes(arm) ? order.indexOf(arm) : order.length);
  return [...new Set(lines.map(({ arm }) => arm))].toSorted((a, b) => placeOf(a) - placeOf(b));
}

if (import.meta.main) {
  const [path, names = ""] = process.argv.slice(2);
  if (path === undefined) throw new Error("usage: tables.ts RUNS.jsonl [TASK,…]");
  process.stdout.write(allTables(readRuns(path), names.split(",")));
}
