/**
 * Prints the tables of docs/allocation.md from the lines of collect.ts:
 *
 *   bun examples/experiments/allocation/tables.ts runs.jsonl sst2,stsb
 *
 * Differences are paired by task and seed; pooled over tasks every pair counts once, in points of
 * its own metric: over all tasks, and over those named. The intervals are those of `adalora
 * compare`.
 */
import { readFileSync } from "node:fs";
import { pairedDifference, spreadOf } from "../../../cli/compare/statistics.ts";
import type { RunLine } from "./collect.ts";

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
  ["adalora:start=lora", "adalora"],
  ["lora:rank=8", "lora"],
  ["adalora", "lora:rank=8"],
  ["adalora:start=lora", "lora:rank=8"],
  ["uniform:start=lora", "lora:rank=8"],
  ["lora-cut", "lora:rank=8"],
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
        return [`${mean.toFixed(2)} ± ${std.toFixed(2)} (${runs.length})`, loss.toFixed(3)];
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
          const other = lines.find(
            (one) => one.arm === baseline && one.task === task && one.seed === line.seed,
          );
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
 * LoRA of the arms' initial rank, which trains as many parameters as they do: at the learning rate
 * of the LoRA of their final rank, or else with its own in its name.
 */
function atInitialRank(loras: readonly RunLine[], finals: readonly RunLine[]): RunLine[] {
  return loras.map((line) => {
    const { task, rank, lr } = line;
    const same = finals.some((one) => one.task === task && one.arm === "lora" && one.lr === lr);
    return { ...line, arm: `lora:rank=${rank}${same ? "" : `:lr=${lr}`}` };
  });
}

/** Arms in the order of the questions. */
function armsIn(lines: readonly RunLine[]): string[] {
  const order = ["lora", ...distinct(questions.map(([arm]) => arm))];
  const found = distinct(lines.map(({ arm }) => arm));
  return found.toSorted((a, b) => order.indexOf(a) - order.indexOf(b));
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
const dtypes = distinct(all.map(({ dtype }) => dtype));
for (const dtype of dtypes) {
  const ofDtype = all.filter((line) => line.dtype === dtype);
  const ofInitialRank = ofDtype.filter(({ rank, isTuning }) => rank === 8 && !isTuning);
  for (const rank of [4, 2, 1]) {
    const lines = ofDtype.filter((line) => line.rank === rank);
    if (lines.length === 0) continue;
    const pruned = lines.filter(({ isTuning }) => !isTuning);
    const finals = rank === 4 ? [...pruned, ...atInitialRank(ofInitialRank, pruned)] : pruned;
    print(`## Average rank ${rank}, ${dtype}`, scores(finals));
    print(differences(finals, inPoints), differences(finals, inLoss));
    print(costs(finals), rates(lines.filter(({ isTuning }) => isTuning)));
  }
}
