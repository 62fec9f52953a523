import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { initializeWeights } from "../../../core/model/load-weights.ts";
import type { PaddedQueries } from "../../../core/ops/padding-rows.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { spanTrainingSet } from "../../../core/tasks/span-dataset.ts";
import { declareModel } from "../../../core/model/open-model.ts";
import type { TrainingSet } from "../../../core/tasks/task.ts";
import { deberta } from "../../../plugins/deberta/index.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { tinyConfig } from "../../helpers/tiny-model.ts";
import { expected } from "../qa/fixtures.ts";
import { questions, tokenizeOptions, optionsOf } from "./span-fixtures.ts";

ownCache();

const [, size = { maxLength: 0, stride: 0, windows: [] }] = expected.sizes;
const config = { ...tinyConfig, vocab_size: 512, max_position_embeddings: 64 };

type Padding = "zero" | "uniform" | "none";

async function trained(spanPadding: Padding): Promise<TrainingSet> {
  const settings = { ...optionsOf({ docStride: size.stride, spanPadding }), unanswerable: true };
  return spanTrainingSet("train", questions, tokenizeOptions(size.maxLength), settings);
}

function spanModel(paddedQueries: PaddedQueries | undefined) {
  const backend = createReferenceBackend();
  const head = { task: "span", labels: 2, ...(paddedQueries && { paddedQueries }) } as const;
  const { model, tree } = declareModel(deberta, deberta.parseConfig(config), head);
  initializeWeights(backend, tree, 3);
  return { backend, model };
}

/** The loss as training computes it, and the logits of every row, padding rows last. */
async function lossOf(padding: Padding, indices: readonly number[]) {
  const dataset = await trained(padding);
  const { backend, model } = spanModel(padding === "none" ? undefined : padding);
  const pass = new ForwardPass(backend, { training: false });
  let logits: number[] = [];
  const spied = {
    forward: (...args: Parameters<typeof model.forward>) => {
      const out = model.forward(...args);
      logits = Array.from(backend.download(out.buffer));
      return out;
    },
  };
  let loss = NaN;
  pass.scope(() => {
    loss = backend.download(dataset.batch(indices).loss(pass, spied).buffer)[0] ?? NaN;
  });
  return { loss, logits, lengths: indices.map((i) => dataset.lengths[i]!) };
}

/** Cross entropy by definition: over the tokens, and `times` padded positions with one logit. */
function entropyOf(tokens: readonly number[], padded: number, times: number, target: number) {
  const sum = tokens.reduce((total, x) => total + Math.exp(x), 0);
  return Math.log(sum + times * Math.exp(padded)) - tokens[target]!;
}

describe("the loss of windows", () => {
  const windows = size.windows;
  const withAnswer = windows.findIndex(({ start }) => start > 0);
  const without = windows.findIndex(({ start }) => start === 0);
  const indices = [withAnswer, without, windows.length - 1];

  test.each([
    ["zero", true],
    ["uniform", true],
    ["none", false],
  ] as const)("%s: the loss counts padding or not", async (padding, counts) => {
    const { loss, logits, lengths } = await lossOf(padding, indices);
    const tokens = lengths.reduce((sum, length) => sum + length, 0);
    let row = 0;
    let paddedRow = tokens;
    const each = indices.map((f, i) => {
      const length = lengths[i]!;
      const times = counts ? size.maxLength - length : 0;
      const at = times > 0 ? paddedRow++ : 0;
      const { start, end } = windows[f]!; // [0, 0], the first token, without an answer
      const column = (c: number) => Array.from({ length }, (_, t) => logits[2 * (row + t) + c]!);
      const value =
        (entropyOf(column(0), logits[2 * at]!, times, start) +
          entropyOf(column(1), logits[2 * at + 1]!, times, end)) /
        2;
      row += length;
      return value;
    });
    expect(loss).toBeCloseTo(each.reduce((sum, x) => sum + x, 0) / indices.length, 12);
    expect(logits.length).toBe(2 * paddedRow);
  });

  test("differs between the rules", async () => {
    const all = await Promise.all(
      (["zero", "uniform", "none"] as const).map((padding) => lossOf(padding, indices)),
    );
    const [zero, uniform, none] = all.map(({ loss }) => loss);
    expect(none).toBeLessThan(zero!);
    expect(Math.abs(zero! - uniform!)).toBeGreaterThan(1e-4);
  });
});

test("a split is its windows: lengths, rows, digest", async () => {
  const dataset = await trained("zero");
  expect(Array.from(dataset.lengths)).toEqual(size.windows.map(({ ids }) => ids.length));
  expect([dataset.rows, dataset.isLabelled, dataset.majority]).toEqual([9, true, undefined]);
  const digestOf = (set: TrainingSet) => {
    const hash = createHash("sha256");
    set.digest(hash);
    return hash.digest("hex");
  };
  const other = {
    ...questions,
    examples: questions.examples.map((one, i) => (i === 0 ? { ...one, answers: [] } : one)),
  };
  const settings = { ...optionsOf({ docStride: size.stride }), unanswerable: true };
  const moved = await spanTrainingSet("train", other, tokenizeOptions(size.maxLength), settings);
  expect(digestOf(await trained("zero"))).toBe(digestOf(dataset));
  expect(digestOf(moved)).not.toBe(digestOf(dataset));
});

test("a vocabulary that the model lacks is refused", async () => {
  const files = { ...tokenizeOptions(size.maxLength), vocabSize: 20 };
  const settings = { ...optionsOf(), unanswerable: true };
  await expect(spanTrainingSet("train", questions, files, settings)).rejects.toThrow("vocab_size");
});

test("an overview counts the questions whose contexts are split into windows", async () => {
  const dataset = await trained("none");
  const { rows, lengths } = dataset;
  const { lengths: found, samples } = dataset.overview(2);
  expect(found).toMatchObject([{ of: "window", flag: "max-length", limit: size.maxLength }]);
  expect(Array.from(found[0]?.tokens ?? [])).toEqual(Array.from(lengths));
  const counts = new Map<string, number>();
  for (const { id } of size.windows) counts.set(id, (counts.get(id) ?? 0) + 1);
  const split = [...counts.values()].filter((count) => count > 1).length;
  expect(split).toBeWithin(1, rows);
  expect(found[0]?.tooLong).toBe(split);
  expect(samples[0]?.label).toBe(questions.examples[0]?.answers?.[0]?.text ?? "no answer");
});
