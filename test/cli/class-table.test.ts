import { expect, test } from "bun:test";
import { classTable } from "../../cli/class-table.ts";
import { classReport } from "../../core/metrics/class-report.ts";
import { fakeOutput } from "./fake-output.ts";

const tableOf = (predictions: number[], labels: number[], names: string[]) =>
  classTable({ validation: classReport(predictions, labels, names) }, fakeOutput());

test("a row is a class, its scores and what its rows were predicted as", () => {
  expect(tableOf([0, 0, 1, 1], [0, 1, 1, 1], ["no", "yes"])).toBe(
    [
      "class  precision  recall      f1  rows  as 1  as 2",
      "1 no      0.5000  1.0000  0.6667     1     1     0",
      "2 yes     1.0000  0.6667  0.8000     3     1     2",
    ].join("\n"),
  );
});

test("it fits 80 columns with long names, and leaves the matrix out where it is large", () => {
  const names = Array.from({ length: 12 }, (_, i) => `a class with a very long name, number ${i}`);
  const indices = names.map((_, i) => i);
  for (const count of [4, 12]) {
    const table = tableOf(indices.slice(0, count), indices.slice(0, count), names.slice(0, count));
    expect(Math.max(...(table ?? "").split("\n").map(({ length }) => length))).toBeLessThan(81);
    expect(table?.includes("as 1")).toBe(count === 4);
  }
});

test("without classes, or with more than a screen of them, there is no table", () => {
  const names = Array.from({ length: 21 }, String);
  expect(tableOf([0], [0], names)).toBeUndefined();
  expect(classTable(undefined, fakeOutput())).toBeUndefined();
});
