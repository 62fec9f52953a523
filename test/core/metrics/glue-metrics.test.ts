import { describe, expect, test } from "bun:test";
import { glueTasks } from "../../../core/data/glue-tasks.ts";
import { accuracy, argmax, f1, matthewsCorrelation } from "../../../core/metrics/classification.ts";
import { averageRanks, pearson, spearman } from "../../../core/metrics/correlation.ts";
import { explainMetrics, glueMetrics } from "../../../core/metrics/glue-metrics.ts";
import golden from "./glue-metrics.golden.json" with { type: "json" };

interface Outcome {
  value?: number | null;
  nan?: boolean;
  error?: string;
}

function expectOutcome(compute: () => number, want: Outcome | undefined) {
  if (want === undefined) return;
  if (want.error !== undefined) {
    expect(compute).toThrow(/needs at least/);
  } else if (want.nan === true) {
    expect(compute()).toBeNaN();
  } else {
    expect(Math.abs(compute() - Number(want.value))).toBeLessThan(1e-12);
  }
}

describe("classification metrics equal scikit-learn's", () => {
  for (const { name, preds, labels, ...want } of golden.classification) {
    test(name, () => {
      expectOutcome(() => accuracy(preds, labels), want.accuracy);
      expectOutcome(() => f1(preds, labels), want.f1);
      expectOutcome(() => matthewsCorrelation(preds, labels), want.matthews_correlation);
    });
  }
});

describe("correlations equal scipy's", () => {
  for (const { name, preds, labels, ...want } of golden.regression) {
    test(name, () => {
      const predictions = preds.map((value) => value ?? Number.NaN);
      expectOutcome(() => pearson(predictions, labels), want.pearson);
      expectOutcome(() => spearman(predictions, labels), want.spearmanr);
    });
  }
});

test("argmax picks the first of equal logits, and NaN over any number", () => {
  for (const { logits, argmax: want } of golden.argmax) {
    expect(logits.map((row) => argmax(row))).toEqual(want);
  }
  expect(argmax([1, Number.NaN, 2])).toBe(1);
});

test("equal values share the mean of their ranks", () => {
  expect([...averageRanks([3, 1, 3, 2, 3])]).toEqual([4, 1, 4, 2, 4]);
});

describe("a task's metrics", () => {
  test("several metrics come with their mean", () => {
    expect(glueMetrics(glueTasks.mrpc, [1, 1, 0, 0], [1, 0, 0, 0])).toEqual({
      accuracy: 0.75,
      f1: 2 / 3,
      combined_score: (0.75 + 2 / 3) / 2,
    });
  });

  test("a single metric has no combined score", () => {
    expect(glueMetrics(glueTasks.rte, [1, 0], [1, 1])).toEqual({ accuracy: 0.5 });
  });

  test("constant scores give NaN and a reason", () => {
    const values = glueMetrics(glueTasks.stsb, [2.5, 2.5, 2.5], [1, 2, 3]);
    expect(values).toEqual({
      pearson: Number.NaN,
      spearmanr: Number.NaN,
      combined_score: Number.NaN,
    });
    expect(explainMetrics(glueTasks.stsb, [2.5, 2.5, 2.5], [1, 2, 3])).toEqual([
      "pearson is undefined: all predictions are 2.5",
      "spearmanr is undefined: all predictions are 2.5",
    ]);
  });

  test("too few examples give NaN, not a crash after training", () => {
    expect(glueMetrics(glueTasks.stsb, [1], [1])["pearson"]).toBeNaN();
    expect(glueMetrics(glueTasks.cola, [], [])["matthews_correlation"]).toBeNaN();
    expect(explainMetrics(glueTasks.stsb, [1], [1])[0]).toBe(
      "pearson is undefined: it needs 2 or more examples, got 1",
    );
  });

  test("zeros by convention are reported, true zeros are not", () => {
    expect(explainMetrics(glueTasks.cola, [1, 1], [0, 1])).toEqual([
      "matthews_correlation is 0 by convention: all predictions are 1",
    ]);
    expect(explainMetrics(glueTasks.mrpc, [0, 0], [0, 0])).toEqual([
      "f1 is 0 by convention: no example is of class 1 or predicted as class 1",
    ]);
    expect(explainMetrics(glueTasks.mrpc, [0, 1], [1, 0])).toEqual([]);
    expect(explainMetrics(glueTasks.stsb, [Number.NaN, 1], [1, 2])[0]).toBe(
      "pearson is undefined: a prediction is NaN",
    );
  });

  test("nearly constant predictions are reported", () => {
    const close = [2.5, 2.5000000000001, 2.5000000000002];
    expect(explainMetrics(glueTasks.stsb, close, [1, 2, 3])[0]).toBe(
      "pearson may be inaccurate: the predictions are nearly constant",
    );
    expect(explainMetrics(glueTasks.stsb, [2.5, 2.50001, 2.5], [1, 2, 3])).toEqual([]);
  });

  test("lists of different lengths are refused", () => {
    expect(() => glueMetrics(glueTasks.rte, [1], [1, 0])).toThrow(
      "[accuracy] needs a prediction for each label: got 1 and 2",
    );
  });
});
