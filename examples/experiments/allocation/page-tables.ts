/** The tables of docs/allocation.md, by the names of their markers. */
import type { RunLine } from "./collect.ts";
import { differenceOf, differenceText, intervalText } from "./differences.ts";
import { table } from "./markdown.ts";
import { finalsOf, INITIAL, initialRankOf } from "./rates.ts";
import { scoreText } from "./runs.ts";

/** What replaces the markers of the page: its tables, and what its text counts in them. */
export interface PageParts {
  readonly tables: Readonly<Record<string, string>>;
  readonly counts: string;
}

/** Average final ranks. */
export const RANKS = [4, 2, 1];

/** Makes the tables of the page from runs; those in f32 are only checks. */
export function pagePartsOf(runs: readonly RunLine[]): PageParts {
  const inBf16 = runs.filter(({ dtype }) => dtype === "bf16");
  const finals = RANKS.flatMap((rank) => finalsOf(rank, inBf16));
  const rows = Object.entries(comparisons).map(
    ([name, those]) => [name, those.flatMap((one) => rowsOf(one, finals))] as const,
  );
  const tables = rows.map(([name, those]) => [name, differenceTable(those)] as const);
  return {
    tables: { ...Object.fromEntries(tables), scores: scoreTable(finals) },
    counts: countsOf(rows.flatMap(([, those]) => those)),
  };
}

// --- internal ---

const TASKS = { sst2: "SST-2", stsb: "STS-B", cola: "CoLA", rte: "RTE" };

/** Tasks of each column of differences: one by one, all, and those whose scores vary little. */
const COLUMNS = [...Object.keys(TASKS).map((task) => [task]), Object.keys(TASKS), ["sst2", "stsb"]];

/** A difference that has a row at each average rank. */
interface Comparison {
  /** What the page calls it; `{rank}` and `{initial}` are the final and the initial rank. */
  readonly name: string;
  readonly arms: readonly [arm: string, baseline: string];
  /** Whether it has a row of all ranks, too. */
  readonly overall?: boolean;
}

const comparisons: Readonly<Record<string, readonly Comparison[]>> = {
  answers: [
    {
      name: "importance − uniform",
      arms: ["adalora:start=lora", "uniform:start=lora"],
      overall: true,
    },
    {
      name: "`adalora:start=lora` − `lora`",
      arms: ["adalora:start=lora", "lora"],
      overall: true,
    },
    { name: "`adalora` − `lora`", arms: ["adalora", "lora"], overall: true },
  ],
  choice: [
    { name: "importance − random", arms: ["adalora:start=lora", "random:start=lora"] },
    { name: "importance − `lora-cut`", arms: ["adalora:start=lora", "lora-cut"] },
    { name: "`uniform:start=lora` − `lora`", arms: ["uniform:start=lora", "lora"] },
  ],
  paperStart: [
    { name: "importance − uniform", arms: ["adalora", "uniform"] },
    { name: "importance − random", arms: ["adalora", "random"] },
    {
      name: "importance − uniform, E's rate 0.02",
      arms: ["adalora:lr-e=0.02", "uniform:lr-e=0.02"],
    },
    {
      name: "importance − random, E's rate 0.02",
      arms: ["adalora:lr-e=0.02", "random:lr-e=0.02"],
    },
    {
      name: "elastic − importance, E's rate 0.02",
      arms: ["elastic:lr-e=0.02", "adalora:lr-e=0.02"],
    },
  ],
  start: [
    { name: "start lora − the paper's", arms: ["adalora:start=lora", "adalora"] },
    { name: "E's rate 0.02 − common rate", arms: ["adalora:lr-e=0.02", "adalora"] },
    { name: "`adalora:lr-e=0.02` − `lora`", arms: ["adalora:lr-e=0.02", "lora"] },
  ],
  cost: [
    { name: "`svd-lora:start=lora` − `lora`", arms: ["svd-lora:start=lora", "lora"] },
    {
      name: "trained at rank {initial} − at {rank}",
      arms: ["uniform:start=lora", "svd-lora:start=lora"],
    },
    { name: "`lora:rank={initial}` − `lora`", arms: [INITIAL, "lora"] },
    { name: "`adalora:start=lora` − `lora:rank={initial}`", arms: ["adalora:start=lora", INITIAL] },
    { name: "`lora-cut` − `lora:rank={initial}`", arms: ["lora-cut", INITIAL] },
  ],
};

/** A row of differences: undefined where fewer than two pairs ran. */
interface Row {
  readonly comparison: Comparison;
  readonly ranks: readonly number[];
  readonly differences: readonly ReturnType<typeof differenceOf>[];
}

function rowsOf(comparison: Comparison, finals: readonly RunLine[]): Row[] {
  const groups = [...RANKS.map((rank) => [rank]), ...(comparison.overall ? [RANKS] : [])];
  return groups
    .map((ranks) => {
      // In the order of `ranks`, since the interval's samples depend on the order of the pairs.
      const runs = ranks.flatMap((rank) => finals.filter((run) => run.rank === rank));
      const differences = COLUMNS.map((tasks) => differenceOf(comparison.arms, tasks, runs));
      return { comparison, ranks, differences };
    })
    .filter(({ differences }) => differences.some((one) => one !== undefined));
}

function differenceTable(rows: readonly Row[]): string {
  const header = ["difference", "rank", ...Object.values(TASKS), "pooled", "SST-2 and STS-B"];
  return table(
    header,
    rows.map(({ comparison, ranks, differences }) => [
      nameAt(ranks, comparison),
      ranks.join(", "),
      ...differences.map((one) => (one ? cellOf(one) : "")),
    ]),
  );
}

function nameAt([rank = 0]: readonly number[], { name }: Comparison): string {
  return name.replace("{rank}", String(rank)).replace("{initial}", String(initialRankOf(rank)));
}

type Difference = NonNullable<Row["differences"][number]>;

/** A difference, bold where its interval excludes 0. */
function cellOf(difference: Difference): string {
  const interval = intervalText(difference);
  return excludesZero(difference)
    ? differenceText(difference).replace(interval, `**${interval}**`)
    : differenceText(difference);
}

const excludesZero = ({ low, high }: Difference) => low > 0 || high < 0;

/** Mean ± standard deviation (seeds) on each task, a row for each arm that ran at each rank. */
function scoreTable(finals: readonly RunLine[]): string {
  const rows = RANKS.flatMap((rank) =>
    SCORED.flatMap((arm) => {
      const runs = finals.filter((run) => run.rank === rank && run.arm === arm);
      if (runs.length === 0) return [];
      const name = arm === INITIAL ? `lora:rank=${initialRankOf(rank)}` : arm;
      const cells = Object.keys(TASKS).map((task) => {
        const those = runs.filter((run) => run.task === task);
        return those.length > 0 ? scoreText(those) : "";
      });
      return [[String(rank), `\`${name}\``, ...cells]];
    }),
  );
  return table(["rank", "arm", ...Object.values(TASKS)], rows);
}

const SCORED = [
  "lora",
  INITIAL,
  "lora-cut",
  "svd-lora:start=lora",
  "adalora:start=lora",
  "uniform:start=lora",
  "random:start=lora",
  "adalora",
  "uniform",
  "random",
  "adalora:lr-e=0.02",
  "uniform:lr-e=0.02",
  "random:lr-e=0.02",
  "elastic:lr-e=0.02",
];

/** How many intervals exclude 0: of all, of single tasks, and of the first comparison. */
function countsOf(rows: readonly Row[]): string {
  const all = rows.flatMap(({ differences }) => differences);
  const ofOneTask = rows.flatMap(({ differences }) => singleTasks(differences));
  const first = rows.filter(({ comparison }) => comparison === comparisons["answers"]?.[0]);
  const ofFirst = first
    .filter(({ ranks }) => ranks.length === 1)
    .flatMap(({ differences }) => singleTasks(differences));
  const gains = ofFirst.filter((one) => one !== undefined && one.low > 0).length;
  const losses = ofFirst.filter((one) => one !== undefined && one.high < 0).length;
  return (
    `${shareOf(all)} intervals above exclude 0; by single task ${shareOf(ofOneTask)}, ` +
    `and for importance − uniform ${shareOf(ofFirst)} (${gains} above 0, ${losses} below)`
  );
}

const singleTasks = (differences: Row["differences"]) =>
  differences.slice(0, Object.keys(TASKS).length);

function shareOf(differences: Row["differences"]): string {
  const known = differences.filter((one) => one !== undefined);
  return `${known.filter(excludesZero).length} of ${known.length}`;
}
