/**
 * Prints the tables of docs/allocation.md from the lines of collect.ts:
 *
 *   bun examples/experiments/allocation/tables.ts runs.jsonl sst2,stsb
 *
 * Differences are paired by task, average rank and seed; pooled over tasks every pair counts once,
 * in points of its own metric: over all tasks, and over those named. The intervals are those of
 * `adalora compare`.
 */
import { readFileSync } from "node:fs";
import { pairedDifference, spreadOf } from "../../../cli/compare/statistics.ts";
import type { RunLine } from "./collect.ts";

/** LoRA of the arms' initial rank, which trains as many parameters as they do. */
const costly = "lora:rank=initial";

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
  ["adalora:start=lora", "random:start=lora"],
  ["adalora:start=lora", "lora-cut"],
  ["adalora:start=lora", "svd-lora:start=lora"],
  ["uniform:start=lora", "svd-lora:start=lora"],
  ["adalora:start=lora", "adalora"],
  ["adalora:lr-e=0.02", "adalora"],
  ["adalora:start=lora", "adalora:lr-e=0.02"],
  [costly, "lora"],
  ["adalora", costly],
  ["adalora:start=lora", costly],
  ["uniform:start=lora", costly],
  ["lora-cut", costly],
];

/** Mean ± standard deviation of the metric in points, and the number of seeds. */
function scores(lines: readonly RunLine[]): string {
  const tasks = distinct(lines.map(({ task }) => task));
  return table(
    ["arm", ...tasks.flatMap((task) => [task, "loss"])],
    armsIn(lines).map((arm) => [
      arm,
      ...tasks.flatMap((task) => {
        const runs = lines.filter((line) => line.arm === arm && line.task === task);
        if (runs.length === 0) return ["", ""];
        const { mean, std } = spreadOf(runs.map(({ value }) => 100 * value));
        const loss = spreadOf(runs.map(({ lastLoss }) => lastLoss)).mean;
        const spread = std === null ? "" : ` ± ${std.toFixed(2)}`;
        return [`${mean.toFixed(2)}${spread} (${runs.length})`, loss.toFixed(3)];
      }),
    ]),
  );
}

/** What a table of differences is about. */
interface Compared {
  readonly what: string;
  readonly valueOf: (line: RunLine) => number;
  readonly isHigherBetter: boolean;
}

const inPoints: Compared = {
  what: "points",
  valueOf: ({ value }) => 100 * value,
  isHigherBetter: true,
};
const inLoss: Compared = {
  what: "last training loss x 100",
  valueOf: ({ lastLoss }) => 100 * lastLoss,
  isHigherBetter: false,
};

/** Paired differences with their intervals, and wins-ties-losses. */
function differences(lines: readonly RunLine[], compared: Compared): string {
  const { what, valueOf } = compared;
  const tasks = distinct(lines.map(({ task }) => task));
  const some = tasks.filter((task) => pooled.includes(task));
  const rows = questions.map(([arm, baseline]) => {
    const pairsOf = (task: string) =>
      lines
        .filter((line) => line.arm === arm && line.task === task)
        .flatMap((line) => {
          const other = lines.find((one) => one.arm === baseline && isPair(one, line));
          return other ? [[valueOf(line), valueOf(other)] as const] : [];
        });
    const cells = [...tasks.map((task) => [task]), tasks, some].map((those) =>
      difference(those.flatMap(pairsOf), compared),
    );
    return [`${arm} − ${baseline}`, ...cells];
  });
  return table(
    [what, ...tasks, "pooled", `pooled: ${some.join(", ")}`],
    rows.filter((row) => row.slice(1).some((cell) => cell !== "")),
  );
}

const isPair = (one: RunLine, { task, rank, seed }: RunLine) =>
  one.task === task && one.rank === rank && one.seed === seed;

function difference(
  pairs: readonly (readonly [number, number])[],
  { isHigherBetter }: Compared,
): string {
  if (pairs.length < 2) return "";
  const found = pairedDifference(
    pairs.map(([value]) => value),
    pairs.map(([, other]) => other),
    isHigherBetter,
  );
  const { mean, low, high, wins, ties, losses } = found;
  if (low === null || high === null) return "";
  const record = `${wins}-${ties}-${losses}`;
  return `${signed(mean)} [${signed(low)}, ${signed(high)}] ${record}`;
}

/** What runs are, and what they cost on average. */
function costs(lines: readonly RunLine[]): string {
  const tasks = distinct(lines.map(({ task }) => task));
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
          return [distinct(those.map(({ lr }) => lr)).join(", "), seconds.median.toFixed(0)];
        }),
        (Math.max(...runs.map(({ memory }) => memory)) / 2 ** 20).toFixed(0),
      ];
    }),
  );
}

/** What each learning rate reached on the rows held out of training. */
function rates(lines: readonly RunLine[]): string {
  const tasks = distinct(lines.map(({ task }) => task));
  const tried = distinct(lines.map(({ lr }) => lr)).toSorted((a, b) => a - b);
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

/**
 * The runs of an average rank and those of LoRA at its arms' initial rank, named apart. Runs at
 * another rate than the one that was picked for their arm have it in their name.
 */
function finalsOf(rank: number, lines: readonly RunLine[]): RunLine[] {
  const tuning = lines.filter(({ isTuning }) => isTuning);
  const initial = rank === 4 ? 8 : 4;
  return lines
    .filter((line) => !line.isTuning && (line.rank === rank || isLoraOf(initial, line)))
    .map((line) => {
      const picked =
        pickedRate(line, tuning) ?? (line.rank === 8 ? loraRate(line, lines) : line.lr);
      const arm = line.rank === rank ? line.arm : costly;
      return { ...line, rank, arm: picked === line.lr ? arm : `${arm}:lr=${line.lr}` };
    });
}

const isLoraOf = (rank: number, { rank: own, arm }: RunLine) => own === rank && arm === "lora";

/** Arms that took the rate of `adalora:start=lora` where they were not tuned themselves. */
const followers = ["uniform:start=lora", "random:start=lora"];

/** The rate with the best score on held-out rows; undefined if none was picked at this rank. */
function pickedRate(line: RunLine, tuning: readonly RunLine[]): number | undefined {
  const here = tuning.filter(({ task, rank }) => task === line.task && rank === line.rank);
  const own = here.filter(({ arm }) => arm === line.arm);
  const follows = own.length === 0 && followers.includes(line.arm);
  const tried = follows ? here.filter(({ arm }) => arm === "adalora:start=lora") : own;
  return tried.toSorted((one, other) => other.value - one.value)[0]?.lr;
}

/** LoRA of rank 8 has the rate that was picked for rank 4. */
const loraRate = ({ task }: RunLine, lines: readonly RunLine[]) =>
  lines.find((one) => one.task === task && isLoraOf(4, one) && !one.isTuning)?.lr;

/** Arms in the order of the questions. */
function armsIn(lines: readonly RunLine[]): string[] {
  const order = ["lora", ...distinct(questions.map(([arm]) => arm))];
  const placeOf = (arm: string) => (order.includes(arm) ? order.indexOf(arm) : order.length);
  return distinct(lines.map(({ arm }) => arm)).toSorted((a, b) => placeOf(a) - placeOf(b));
}

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(header), `|${"---|".repeat(header.length)}`, ...rows.map(line)].join("\n");
}

function signed(value: number): string {
  return (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
}

function distinct<T>(values: readonly T[]): T[] {
  return [...new Set(values)];
}

function print(...blocks: readonly string[]): void {
  const filled = blocks.filter((block) => block !== "");
  process.stdout.write(filled.map((block) => `${block}\n\n`).join(""));
}

const [path, names = ""] = process.argv.slice(2);
if (path === undefined) throw new Error("usage: tables.ts RUNS.jsonl [TASK,…]");
const pooled = names.split(",");
const all: readonly RunLine[] = readFileSync(path, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line));
for (const dtype of distinct(all.map((line) => line.dtype))) {
  const ofDtype = all.filter((line) => line.dtype === dtype);
  for (const rank of [4, 2, 1]) {
    if (!ofDtype.some((line) => line.rank === rank)) continue;
    const finals = finalsOf(rank, ofDtype);
    const tuning = ofDtype.filter((line) => line.rank === rank && line.isTuning);
    print(`## Average rank ${rank}, ${dtype}`, scores(finals));
    print(differences(finals, inPoints), differences(finals, inLoss));
    print(costs(finals), rates(tuning));
  }
  const low = [2, 1].flatMap((rank) => finalsOf(rank, ofDtype));
  if (!ofDtype.some(({ rank }) => rank < 4)) continue;
  print(`## Average ranks 2 and 1 together, ${dtype}`, differences(low, inPoints));
}
