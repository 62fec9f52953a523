import { describe, expect, test } from "bun:test";
import { groupedRows, pickRows, stratifiedRows } from "../../../core/data/hold-out.ts";

const countsOf = (classes: readonly number[], rows: readonly number[]) => {
  const counts = new Map<number, number>();
  for (const row of rows) counts.set(classes[row]!, (counts.get(classes[row]!) ?? 0) + 1);
  return Object.fromEntries(counts);
};

describe("rows held out by class", () => {
  const classes = Array.from({ length: 1000 }, (_, row) => (row < 700 ? 0 : row < 995 ? 1 : 2));
  const held = stratifiedRows(classes, { fraction: 0.1, seed: 1 });

  test("are the share of all rows and, but for rounding, of each class", () => {
    expect(held).toHaveLength(100);
    expect(countsOf(classes, held)).toEqual({ 0: 70, 1: 29, 2: 1 });
    expect(held).toEqual([...new Set(held)].toSorted((a, b) => a - b));
  });

  test("depend on the seed alone, and are spread over the rows", () => {
    expect(stratifiedRows(classes, { fraction: 0.1, seed: 1 })).toEqual(held);
    expect(stratifiedRows(classes, { fraction: 0.1, seed: 2 })).not.toEqual(held);
    const ofFirst = held.filter((row) => row < 700);
    expect(ofFirst.filter((row) => row < 350).length).toBeWithin(20, 51);
  });

  test("leave a row of every class to train on", () => {
    const few = [0, 0, 0, 1, 2, 2];
    const most = stratifiedRows(few, { fraction: 0.9, seed: 3 });
    expect(countsOf(few, most)).toEqual({ 0: 2, 2: 1 });
    expect(() => stratifiedRows([0, 1, 2], { fraction: 0.5, seed: 3 })).toThrow(
      "--eval-fraction 0.5 holds out none of 3 rows",
    );
  });
});

test("rows of a group are held out together, and one group is left", () => {
  const contexts = Array.from({ length: 40 }, (_, row) => `context ${Math.floor(row / 4)}`);
  const held = groupedRows(contexts, { fraction: 0.2, seed: 1 });
  expect(held).toHaveLength(8);
  const inside = new Set(held.map((row) => contexts[row]));
  expect(inside.size).toBe(2);
  expect(groupedRows(["a", "a", "b"], { fraction: 0.9, seed: 1 }).length).toBeLessThan(3);
  expect(() => groupedRows(["a", "a"], { fraction: 0.5, seed: 1 })).toThrow("holds out none");
});

test("examples are numbered anew, beside their kept cells; a row that is gone is an error", () => {
  const examples = [0, 1, 2].map((index) => ({ index, text: String(index) }));
  const kept = examples.map(({ text }) => ({ id: `row ${text}` }));
  expect(pickRows({ examples, kept }, [2, 0], "x.csv")).toEqual({
    examples: [
      { index: 0, text: "2" },
      { index: 1, text: "0" },
    ],
    kept: [{ id: "row 2" }, { id: "row 0" }],
  });
  expect(pickRows({ examples }, [1], "x.csv").kept).toBeUndefined();
  expect(() => pickRows({ examples }, [3], "x.csv")).toThrow(
    "x.csv: has 3 rows, but row 4 was held out",
  );
});
