import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { type GlueTask, glueTasks } from "../../../core/data/glue-tasks.ts";
import type { Model, SequenceHeadKind } from "../../../core/model/plugin.ts";
import { sequenceBatch, type SequenceExamples } from "../../../core/tasks/sequence-examples.ts";
import {
  baselineMetrics,
  majorityShare,
  predictSequences,
  sequenceOutputs,
  SequencePredictions,
} from "../../../core/tasks/sequence-predictions.ts";
import { tinyExamples, tinyModel } from "../../helpers/tiny-model.ts";
import { softmax, type SequenceOutputs } from "../../../core/tasks/sequence-outputs.ts";

const dataset = tinyExamples("validation", 11); // lengths 1 to 7, not in order

describe("sequenceOutputs", () => {
  test("are in input order, whatever the batches", async () => {
    const backend = createReferenceBackend();
    const { model } = tinyModel(backend);
    const alone = dataset.examples.flatMap(({ index }) => {
      const pass = new ForwardPass(backend, { training: false });
      let logits: number[] = [];
      pass.scope(() => {
        logits = Array.from(
          backend.download(model.forward(pass, sequenceBatch(dataset, [index])).buffer),
        );
      });
      return logits;
    });
    for (const batchSize of [1, 4, 100]) {
      const done: number[] = [];
      const got = await sequenceOutputs(backend, model, dataset, {
        width: 2,
        batchSize,
        onBatch: (rows) => done.push(rows),
      });
      got.logits.forEach((x, i) => expect(x).toBeCloseTo(alone[i] ?? NaN, 12));
      expect(Array.from(got.values)).toEqual(
        dataset.examples.map((_, i) => (alone[2 * i + 1]! > alone[2 * i]! ? 1 : 0)),
      );
      expect([done.length, done.at(-1)]).toEqual([Math.ceil(11 / batchSize), 11]);
    }
  });

  test("a score is the output itself; memory is returned", async () => {
    const backend = createReferenceBackend();
    const { model } = tinyModel(backend, { labels: 1 });
    const before = backend.memory().live;
    const { logits, values } = await sequenceOutputs(backend, model, dataset, {
      width: 1,
      batchSize: 4,
    });
    expect(values).toEqual(logits);
    expect(new Set(values).size).toBe(11);
    expect(backend.memory().live).toBe(before);
  });
});

describe("records", () => {
  const predicted = (
    kind: SequenceHeadKind,
    logits: readonly number[],
    values: readonly number[],
  ) => {
    const examples = values.map((value, index) => ({ index, text: "", label: value }));
    const set: SequenceExamples = {
      ...dataset,
      examples: examples.map(({ label, ...rest }, i) => (i === 0 ? rest : { ...rest, label })),
      labelNames: kind === "classification" ? ["no", "yes"] : undefined,
    };
    const outputs = {
      logits: Float64Array.from(logits),
      width: logits.length / values.length,
      values: Float64Array.from(values),
    };
    return new SequencePredictions({ set, glue: undefined, kind, isWhole: true }, outputs).records;
  };

  test("of classes have names, their probabilities, and the label if it is known", () => {
    expect(predicted("classification", [0, Math.log(3), 1000, 0], [1, 0])).toEqual([
      {
        index: 0,
        prediction: "yes",
        probabilities: { no: expect.closeTo(0.25, 15), yes: expect.closeTo(0.75, 15) },
        logits: [0, Math.log(3)],
      },
      {
        index: 1,
        label: "no",
        prediction: "no",
        probabilities: { no: 1, yes: 0 },
        logits: [1000, 0],
      },
    ]);
    expect(softmax([-1e4, -1e4])).toEqual([0.5, 0.5]);
  });

  test("of scores have the value alone", () => {
    expect(predicted("regression", [2.5, 4], [2.5, 4])).toEqual([
      { index: 0, prediction: 2.5, logits: [2.5] },
      { index: 1, label: 4, prediction: 4, logits: [4] },
    ]);
  });
});

describe("outputs that are not finite are refused by row", () => {
  test.each([
    ["classification", "logits", ["a", "b"], Number.NaN],
    ["regression", "scores", undefined, Number.POSITIVE_INFINITY],
  ] as const)("%s", async (kind, what, labelNames, value) => {
    const backend = createReferenceBackend();
    const { model } = tinyModel(backend, { labels: labelNames?.length ?? 1 });
    const [, , odd] = tinyExamples("validation", 11).tokens.offsets;
    const oddWord = dataset.tokens.ids[odd!]; // a word of row 2, and of whatever row also has it
    const broken: Model = {
      forward(pass, batch) {
        const out = model.forward(pass, batch);
        const width = out.shape[1]!;
        const values = Array.from(backend.download(out.buffer), (x, i) => {
          const [first, last] = batch.offsets.subarray(Math.floor(i / width));
          return batch.ids.subarray(first, last).includes(oddWord!) ? value : x;
        });
        backend.upload(out.buffer, values);
        return out;
      },
    };
    const rows = dataset.examples.flatMap(({ index }) => {
      const [first, last] = dataset.tokens.offsets.subarray(index);
      return dataset.tokens.ids.subarray(first, last).includes(oddWord!) ? [index] : [];
    });
    expect(rows).toContain(2);
    const split = { set: { ...dataset, labelNames }, glue: undefined, kind, isWhole: true };
    await expect(predictSequences(backend, broken, split, { batchSize: 4 })).rejects.toThrow(
      `validation: ${what} must be finite: got NaN or Infinity in ${rows.length} of 11 rows, counted from 0: ${rows.slice(0, 8).join(", ")}`,
    );
  });
});

describe("evaluate", () => {
  const evaluate = (set: SequenceExamples, outputs: SequenceOutputs, kind: SequenceHeadKind) =>
    new SequencePredictions({ set, glue: undefined, kind, isWhole: true }, outputs).evaluate();
  const of = (labels: readonly number[] | undefined): SequenceExamples => ({
    ...tinyExamples("validation", labels?.length ?? 2),
    labels: labels && Float64Array.from(labels),
  });

  test("the loss of classes is the mean cross entropy", () => {
    const predictions = {
      logits: Float64Array.of(0, Math.log(3), 700, 0),
      width: 2,
      values: Float64Array.of(1, 0),
    };
    const got = evaluate(of([0, 1]), predictions, "classification");
    expect(got.loss).toBeCloseTo((Math.log(4) + 700) / 2, 12);
    expect(got).toMatchObject({ split: "validation", metrics: { accuracy: 0, f1: 0 } });
  });

  test("the loss of scores is the mean squared error", () => {
    const values = Float64Array.of(1, 2.5);
    const predictions = { logits: values, width: 1, values };
    const got = evaluate(of([3, 2]), predictions, "regression");
    expect(got.loss).toBe((4 + 0.25) / 2);
    expect(got.metrics["pearson"]).toBeCloseTo(-1, 12);
  });

  test("a split without labels is refused", () => {
    const predictions = { logits: new Float64Array(4), width: 2, values: new Float64Array(2) };
    expect(() => evaluate(of(undefined), predictions, "classification")).toThrow(
      "internal: split validation has no labels to score against",
    );
  });
});

test("a whole test split of GLUE has a submission file; a part of one does not", () => {
  const set = { ...tinyExamples("test", 2), labels: undefined };
  const outputs = { logits: new Float64Array(4), width: 2, values: Float64Array.of(1, 0) };
  const filesOf = (isWhole: boolean) => {
    const split = { set, glue: glueTasks.rte, kind: "classification", isWhole } as const;
    return new SequencePredictions(split, outputs).files;
  };
  const lines = ["index\tprediction", "0\tnot_entailment", "1\tentailment", ""];
  expect([...filesOf(true)]).toEqual([["RTE.tsv", lines.join("\n")]]);
  expect(filesOf(false).size).toBe(0);
});

describe("the baseline is a constant prediction in the task's own metrics", () => {
  const labels = Float64Array.of(1, 0, 1, 1);
  const of = (glue: GlueTask, values: Float64Array, kind: "classification" | "regression") =>
    baselineMetrics(values, { glue, kind }, kind === "regression" ? 1 : 2);

  test("CoLA: a Matthews correlation of 0, not an accuracy", () => {
    expect(of(glueTasks.cola, labels, "classification")).toEqual({ matthews_correlation: 0 });
  });
  test("MRPC: accuracy and F1 of the most frequent class", () => {
    expect(of(glueTasks.mrpc, labels, "classification")).toMatchObject({
      accuracy: 0.75,
      f1: 6 / 7,
    });
    expect(
      of(
        glueTasks.qqp,
        labels.map((label) => 1 - label),
        "classification",
      ),
    ).toMatchObject({
      accuracy: 0.75,
      f1: 0,
    });
  });
  test("STS-B: undefined, for the correlation with a constant is", () => {
    const { pearson } = of(glueTasks.stsb, Float64Array.of(0, 2.5, 5), "regression");
    expect(pearson).toBeNaN();
  });
});

test("the majority share is the accuracy of the most frequent class; scores have none", () => {
  expect(majorityShare(Float64Array.of(2, 0, 2, 1), "classification")).toBe(0.5);
  expect(majorityShare(Float64Array.of(1, 1.5), "regression")).toBeUndefined();
});
