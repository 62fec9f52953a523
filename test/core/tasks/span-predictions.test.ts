import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Model } from "../../../core/model/plugin.ts";
import { spanPredictionSet } from "../../../core/tasks/span-dataset.ts";
import type { Predictions } from "../../../core/tasks/task.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { expected } from "../qa/fixtures.ts";
import { questions, tokenizeOptions, optionsOf } from "./span-fixtures.ts";

ownCache();

const [, size = { maxLength: 0, stride: 0, windows: [] }] = expected.sizes;

/** Returns the recorded logits of each window, found by its tokens. */
const recordedModel: Model = {
  forward(pass, { ids, offsets }) {
    const logits = Array.from(offsets.subarray(1), (end, b) => {
      const window = ids.subarray(offsets[b], end).join();
      const f = size.windows.findIndex((one) => one.ids.join() === window);
      return Array.from({ length: end - offsets[b]! }, (_, i) => [
        expected.start[f]?.[i] ?? NaN,
        expected.end[f]?.[i] ?? NaN,
      ]);
    }).flat(2);
    const buffer = pass.allocate(logits.length);
    pass.backend.upload(buffer, logits);
    return { shape: [logits.length / 2, 2], buffer, requiresGrad: false };
  },
};

type Options = (typeof expected.answers)[number];

const settingsOf = ({ unanswerable, ...limits }: Options) => ({
  ...optionsOf({ docStride: size.stride, ...limits }),
  unanswerable,
});

async function predict(
  options: Options,
  batchSize = 4,
  { examples = questions.examples, backend = createReferenceBackend(), model = recordedModel } = {},
): Promise<Predictions> {
  const files = tokenizeOptions(size.maxLength);
  const set = { ...questions, examples };
  const dataset = await spanPredictionSet("validation", set, files, settingsOf(options));
  return dataset.predict(backend, model, { batchSize });
}

describe("the answers are those of the reference's utils_qa.py", () => {
  test.each(expected.answers.map((want, i) => [i, want] as const))("%i", async (_, want) => {
    const { files, records } = await predict(want);
    const names = ["predictions.json", "nbest_predictions.json"];
    expect([...files.keys()]).toEqual(want.unanswerable ? [...names, "null_odds.json"] : names);
    const texts = JSON.parse(want.predictionsText);
    expect(JSON.parse(files.get("predictions.json") ?? "")).toEqual(texts);
    const own: Record<string, unknown>[] = records.map((record) => ({ ...record }));
    for (const { id, prediction, null_odds: odds } of own) {
      expect(prediction).toBe(texts[String(id)]);
      expect(odds).toEqual(want.nullOdds?.[String(id)]);
    }
    expect(records.map((record) => ("id" in record ? record.id : ""))).toEqual(
      questions.examples.map(({ id }) => id),
    );
  });

  test("whatever the batches", async () => {
    const [want] = expected.answers;
    if (!want) throw new Error("no answers are recorded");
    const one = await predict(want, 1);
    const backend = createReferenceBackend();
    const all = await predict(want, 100, { backend });
    expect(all.records).toEqual(one.records);
    expect(backend.memory().live).toBe(0);
  });
});

test("logits that are not finite are refused by the id of their question", async () => {
  const [first] = expected.answers;
  if (!first) throw new Error("no answers are recorded");
  const { id } = questions.examples[3]!;
  const files = tokenizeOptions(size.maxLength);
  const one = { ...questions, examples: questions.examples.slice(3, 4) };
  const { lengths } = await spanPredictionSet("validation", one, files, settingsOf(first));
  const words = new Set<string>();
  const note: Model = {
    forward(pass, batch) {
      for (let b = 0; b + 1 < batch.offsets.length; b++)
        words.add(batch.ids.subarray(batch.offsets[b], batch.offsets[b + 1]).join());
      return recordedModel.forward(pass, batch);
    },
  };
  await predict(first, 4, { examples: one.examples, model: note });
  expect(words.size).toBe(lengths.length);
  const broken: Model = {
    forward(pass, batch) {
      const out = recordedModel.forward(pass, batch);
      const values = Array.from(pass.backend.download(out.buffer));
      for (let b = 0; b + 1 < batch.offsets.length; b++) {
        const [from, to] = [batch.offsets[b]!, batch.offsets[b + 1]!];
        if (words.has(batch.ids.subarray(from, to).join())) values[2 * to - 1] = -Infinity;
      }
      pass.backend.upload(out.buffer, values);
      return out;
    },
  };
  await expect(predict(first, 4, { model: broken })).rejects.toThrow(
    `validation: logits must be finite: got NaN or Infinity in 1 of ${questions.examples.length} rows, counted from 0: ${id}`,
  );
});

describe("evaluate", () => {
  const answers = expected.answers.find((one) => one.unanswerable && one.nullThreshold === 0);

  test("scores predictions as the official script scores predictions.json", async () => {
    if (!answers) throw new Error("no such answers are recorded");
    const texts = JSON.parse(answers.predictionsText);
    // Three of nine references equal the prediction, two more contain it.
    const predicted = (i: number, text: string) =>
      i < 3 ? text : i < 5 ? `${text} and more` : "moon's";
    const examples = questions.examples.map((one, i) => {
      const text = predicted(i, texts[one.id]);
      return { ...one, answers: text === "" ? [] : [{ text, start: 0 }] };
    });
    const { metrics, loss, split } = (await predict(answers, 4, { examples })).evaluate();
    expect({ split, loss, exact: metrics["exact"], total: metrics["total"] }).toEqual({
      split: "validation",
      loss: undefined,
      exact: 300 / 9,
      total: 9,
    });
    expect(metrics["f1"]).toBeGreaterThan(300 / 9);
    expect(metrics["f1"]).toBeLessThan(500 / 9);
  });

  test("the threshold changes answers, but not the best_* metrics", async () => {
    if (!answers) throw new Error("no such answers are recorded");
    const withThreshold = async (nullThreshold: number) => {
      const predictions = await predict({ ...answers, nullThreshold });
      const empty = predictions.records.filter((one) => "prediction" in one && !one.prediction);
      return { empty: empty.length, metrics: predictions.evaluate().metrics };
    };
    const [never, always] = [await withThreshold(100), await withThreshold(-100)];
    expect([never.empty, always.empty]).toEqual([0, 9]);
    expect(always.metrics).toMatchObject({ NoAns_exact: 100, HasAns_exact: 0 });
    expect(never.metrics["best_f1"]).toBe(always.metrics["best_f1"]);
  });

  test("of a split without answers is refused as a bug", async () => {
    if (!answers) throw new Error("no such answers are recorded");
    const unlabelled = questions.examples.map(({ index, id, question, context }) => {
      return { index, id, question, context };
    });
    const set = { ...questions, examples: unlabelled, isLabelled: false };
    const files = tokenizeOptions(size.maxLength);
    const dataset = await spanPredictionSet("test", set, files, settingsOf(answers));
    const predictions = await dataset.predict(createReferenceBackend(), recordedModel, {
      batchSize: 9,
    });
    expect(predictions.records).toHaveLength(9);
    expect(() => predictions.evaluate()).toThrow("internal: split test has no answers");
  });
});
