import { expect, test } from "bun:test";
import { pagePartsOf } from "../../../../examples/experiments/allocation/page-tables.ts";
import { run } from "./run.ts";

/** Five seeds of an arm on a task; their scores are `gains` above 0.5, in points. */
const seeds = (rank: number, arm: string, task: string, gains: readonly number[]) =>
  gains.map((gain, i) => run(rank, arm, 0.002, { task, seed: i + 1, value: 0.5 + gain / 100 }));

const still = [0, 0, 0, 0, 0];
const runs = [
  ...seeds(2, "adalora:start=lora", "sst2", [1, 2, 1, 2, 1.5]),
  ...seeds(2, "uniform:start=lora", "sst2", still),
  ...seeds(1, "adalora:start=lora", "sst2", [-1.5, -1.5, -1.5, -1.5, -1.5]),
  ...seeds(1, "uniform:start=lora", "sst2", still),
  ...seeds(1, "adalora:start=lora", "rte", [1, -1, 1, -1, 1]),
  ...seeds(1, "uniform:start=lora", "rte", still),
  ...seeds(4, "lora", "rte", [3, 3, 3, 3, 3]),
  ...seeds(1, "lora", "rte", still),
];
const { tables, counts } = pagePartsOf([...runs, ...runs.map((one) => ({ ...one, dtype: "f32" }))]);

/** The cells of a row, empty where nothing ran. */
const cellsOf = (table: string, row: string) =>
  tables[table]
    ?.split("\n")
    .find((line) => line.startsWith(`| ${row} |`))
    ?.slice(2, -2)
    .split(" | ")
    .map((cell) => cell.trim());

test("a difference has a row at each rank and a cell a task; it is bold if its interval excludes 0", () => {
  const [, , sst2, stsb, cola, rte, pooled, both] = cellsOf("answers", "importance − uniform | 2")!;
  expect(sst2).toMatch(/^\*\*\+1\.50 \[\+\d\.\d\d, \+\d\.\d\d\]\*\* 5-0-0$/);
  expect([stsb, cola, rte]).toEqual(["", "", ""]);
  expect([pooled, both]).toEqual([sst2, sst2]);
  const atRank1 = cellsOf("answers", "importance − uniform | 1")!;
  expect(atRank1[5]).toMatch(/^\+0\.20 \[−\d\.\d\d, \+\d\.\d\d\] 3-0-2$/);
  expect(cellsOf("answers", "importance − uniform | 4")).toBeUndefined();
});

test("a seed's runs at several ranks are one pair", () => {
  const [, , sst2, , , rte, pooled] = cellsOf("answers", "importance − uniform | 4, 2, 1")!;
  expect([sst2, rte, pooled]).toEqual([
    expect.stringMatching(/^\+0\.00 .* 2-1-2$/),
    expect.stringMatching(/^\+0\.20 .* 3-0-2$/),
    expect.stringMatching(/ 5-1-4$/),
  ]);
});

test("the LoRA of the initial rank is named by that rank", () => {
  const cells = cellsOf("cost", "`lora:rank=4` − `lora` | 1");
  expect(cells?.[5]).toBe("**+3.00 [+3.00, +3.00]** 5-0-0");
});

test("scores have a row for each arm that ran at each rank and a cell a task", () => {
  expect(cellsOf("scores", "2 | `adalora:start=lora`")).toEqual([
    "2",
    "`adalora:start=lora`",
    "51.50 ± 0.50 (5)",
    "",
    "",
    "",
  ]);
  expect(cellsOf("scores", "1 | `lora:rank=4`")?.[5]).toBe("53.00 ± 0.00 (5)");
  expect(tables["scores"]?.split("\n")).toHaveLength(2 + 8);
});

test("intervals that exclude 0 are counted: all, those of one task, those of importance − uniform", () => {
  expect(counts).toMatch(
    /^(\d+) of \d+ intervals above exclude 0; by single task \d+ of \d+, and for importance − uniform 2 of 3 \(1 above 0, 1 below\)$/,
  );
});
