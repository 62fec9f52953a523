import { expect, test } from "bun:test";
import { classReport } from "../../../core/metrics/class-report.ts";

test("scores are those of scikit-learn's classification_report, rows of the matrix are labels", () => {
  const labels = [0, 1, 2, 2, 2, 0];
  const predictions = [0, 0, 2, 2, 1, 0];
  expect(classReport(predictions, labels, ["a", "b", "c"])).toEqual({
    classes: [
      { label: "a", precision: 2 / 3, recall: 1, f1: 0.8, support: 2 },
      { label: "b", precision: 0, recall: 0, f1: 0, support: 1 },
      { label: "c", precision: 1, recall: 2 / 3, f1: 0.8, support: 3 },
    ],
    confusion: [
      [2, 0, 0],
      [1, 0, 0],
      [0, 1, 2],
    ],
  });
});

test("a class that is neither predicted nor a label has scores of 0", () => {
  const { classes } = classReport([0, 0], [0, 0], ["a", "b"]);
  expect(classes[1]).toEqual({ label: "b", precision: 0, recall: 0, f1: 0, support: 0 });
});
