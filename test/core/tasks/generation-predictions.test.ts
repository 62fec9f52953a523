import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { packTokens } from "../../../core/data/token-cache.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { GenerationExamples } from "../../../core/tasks/generation-examples.ts";
import { generationLoss } from "../../../core/tasks/generation-loss.ts";
import {
  generationMetrics,
  GenerationPredictions,
  meanTokenLoss,
} from "../../../core/tasks/generation-predictions.ts";
import { rougeNames } from "../../../core/metrics/rouge.ts";
import { metricsOf } from "../../../core/tasks/task.ts";
import { tinyBart, tinyBartBatch, tinyPair } from "../../helpers/tiny-bart.ts";

const predictionsOf = (texts: readonly string[], summaries: readonly (string | undefined)[]) =>
  new GenerationPredictions({
    name: "validation",
    examples: summaries.map((summary, index) => ({
      index,
      text: "…",
      ...(summary === undefined ? {} : { summary }),
    })),
    texts,
    lengths: texts.map((text) => text.length),
    loss: 1.5,
  });

describe("generated summaries", () => {
  test("are scored by mean ROUGE, with stemming, and mean length", () => {
    const evaluation = predictionsOf(
      ["The cats walked home.", "rain"],
      ["A cat walks home.", "It will be dry."],
    ).evaluate();
    // unigrams cat, walk, home: 3 of 4; bigrams: 2 of 3
    const [rouge1, rouge2] = [(100 * 3) / 4 / 2, (100 * 2) / 3 / 2];
    expect(Object.keys(metricsOf(evaluation))).toEqual([...generationMetrics, "loss"]);
    expect(evaluation.metrics["rouge1"]).toBeCloseTo(rouge1, 10);
    expect(evaluation.metrics["rouge2"]).toBeCloseTo(rouge2, 10);
    expect(evaluation.metrics["rougeL"]).toBeCloseTo(rouge1, 10);
    expect([evaluation.metrics["gen_len"], evaluation.loss]).toEqual([(21 + 4) / 2, 1.5]);
    expect(evaluation.split).toBe("validation");
    // Of two pairs one scores 0: a quarter of the resamples hold it twice, a quarter the other.
    expect(evaluation.intervals?.["rouge1"]).toEqual({ low: 0, high: expect.closeTo(2 * rouge1) });
    expect(Object.keys(evaluation.intervals ?? {})).toEqual([...rougeNames]);
  });

  test.each([
    ["One went. Two came.", "Two came. One went."],
    ["One went two came", "Two came. One went."], // two sentences in the reference only
    ["One went. Two came.", "Two came one went"], // in the prediction only
  ])("are compared sentence by sentence for Lsum, not for L: %s %s", (text, summary) => {
    const { metrics } = predictionsOf([text], [summary]).evaluate();
    expect([metrics["rougeL"], metrics["rougeLsum"]]).toEqual([50, 100]);
  });

  test("are recorded beside their references, if any", () => {
    const predictions = predictionsOf(["x", "y"], ["a", undefined]);
    expect(predictions.records).toEqual([
      { index: 0, prediction: "x", reference: "a" },
      { index: 1, prediction: "y" },
    ]);
    expect(() => predictions.evaluate()).toThrow("split validation has no summaries");
  });
});

describe("meanLoss", () => {
  const pairs = [0, 1, 2, 3, 4].map(tinyPair);
  const pack = (rows: readonly (readonly number[])[]) =>
    packTokens(
      rows.map((ids) => ({ ids: Int32Array.from(ids), typeIds: new Int32Array(ids.length) })),
    );
  const set: GenerationExamples = {
    name: "validation",
    examples: pairs.map((_, index) => ({ index, text: "", summary: "" })),
    source: pack(pairs.map(({ source }) => source)),
    target: pack(pairs.map(({ target }) => target)),
    lengths: Int32Array.from(pairs, ({ source, target }) => source.length + target.length),
    warnings: [],
  };

  test("is the mean over all tokens, whatever the batches; memory is returned", async () => {
    const backend = createReferenceBackend();
    const { bart } = tinyBart(backend);
    let expected = NaN;
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const loss = generationLoss(bart, { smoothing: 0 })(pass, tinyBartBatch(pairs));
      expected = backend.download(loss.buffer)[0] ?? NaN;
    });
    const before = backend.memory().live;
    for (const batchSize of [1, 2, 100]) {
      expect(await meanTokenLoss(backend, bart, set, { batchSize })).toBeCloseTo(expected, 12);
    }
    expect(backend.memory().live).toBe(before);
  });

  test.each([1, 2, 100])(
    "names the rows where it is not finite: batches of %d",
    async (batchSize) => {
      const backend = createReferenceBackend();
      const { bart } = tinyBart(backend);
      const loss = bart.loss.bind(bart);
      const unlucky = Int32Array.from(pairs[3]!.target).join();
      bart.loss = (pass, hidden, targets) => {
        const result = loss(pass, hidden, targets);
        if (targets.labels.join().includes(unlucky)) backend.upload(result.buffer, [Number.NaN]);
        return result;
      };
      await expect(meanTokenLoss(backend, bart, set, { batchSize })).rejects.toThrow(
        "validation: the loss of the reference summary must be finite: got NaN or Infinity in 1 of 5 rows, counted from 0: 3",
      );
    },
  );
});
