import { afterAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { fileSplit } from "../../../core/data/splits.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { generationLoss } from "../../../core/tasks/generation-loss.ts";
import { defaultSettings } from "../../../core/config/run-config.ts";
import { taskNamed } from "../../../core/tasks/index.ts";
import type { TaskOptions } from "../../../core/tasks/task-options.ts";
import { bartFolderConfig } from "../../helpers/bart-folder.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { tinyBart, tinyBartBatch } from "../../helpers/tiny-bart.ts";
import { fileOf, removeFolders } from "../data/temp-files.ts";
import { tinyBartFiles } from "../../helpers/tiny-bart-files.ts";
import type { TokenizeOptions } from "../../../core/model/model-files.ts";

ownCache();
afterAll(removeFolders);

const files = tinyBartFiles(bartFolderConfig);
const text = "text,summary\nthe cat,a cat\nthe cat in a cat,the\na,in the cat\n";

async function datasetOf(
  content: string,
  { options, ...more }: Partial<TokenizeOptions> & { options?: Partial<TaskOptions> } = {},
) {
  const settings = { ...defaultSettings(), maxTargetLength: 8, ...options };
  const split = fileSplit(fileOf("x.csv", content), "train");
  const read = await taskNamed("summarization", settings).read(split, "optional");
  return read.forTraining({ ...files, ...more });
}

/** The value of a loss. */
function valueOf(backend: Backend, loss: (pass: ForwardPass) => Tensor): number {
  let number = NaN;
  const pass = new ForwardPass(backend, { training: true });
  pass.scope(() => {
    number = backend.download(loss(pass).buffer)[0] ?? NaN;
  });
  return number;
}

/** The loss of some features, as training builds it. */
function lossOf(
  dataset: Awaited<ReturnType<typeof datasetOf>>,
  indices: readonly number[],
): number {
  const backend = createReferenceBackend();
  const { adapted } = tinyBart(backend, { config: { vocab_size: 271 } });
  return valueOf(backend, (pass) => dataset.batch(indices).loss(pass, adapted.model));
}

/** Ids of the tiny tokenizer: "the", " cat" and "a"; <s> is 0, </s> is 2. */
const [the, cat, a] = [261, 265, 68];

describe("a split of texts and summaries", () => {
  test("is trained on the mean loss of its target tokens, which are its weight", async () => {
    const dataset = await datasetOf(text);
    const batch = dataset.batch([0]);
    const expected = tinyBartBatch([{ source: [0, the, cat, 2], target: [0, a, cat, 2] }]);
    expect([Array.from(batch.offsets), batch.weight, batch.tokens]).toEqual([[0, 4], 4, 8]);
    const backend = createReferenceBackend();
    const { bart } = tinyBart(backend, { config: { vocab_size: 271 } });
    for (const smoothing of [0, 0.2]) {
      const loss = valueOf(backend, (pass) => generationLoss(bart, { smoothing })(pass, expected));
      const got = lossOf(await datasetOf(text, { options: { labelSmoothing: smoothing } }), [0]);
      expect(got).toBeCloseTo(loss, 12);
    }
  });

  test("a batch's loss is the mean of its examples' by their weights", async () => {
    const dataset = await datasetOf(text);
    const indices = [2, 0, 1];
    const weights = indices.map((index) => dataset.batch([index]).weight ?? NaN);
    const sum = indices.reduce(
      (total, index, i) => total + weights[i]! * lossOf(dataset, [index]),
      0,
    );
    expect(new Set(weights).size).toBeGreaterThan(1);
    expect(lossOf(dataset, indices)).toBeCloseTo(sum / dataset.batch(indices).weight!, 12);
  });

  test("lengths count a text and its summary; each is truncated to its own limit", async () => {
    const dataset = await datasetOf(text);
    expect([dataset.rows, dataset.isLabelled]).toEqual([3, true]);
    const whole = Array.from(dataset.lengths);
    const cut = await datasetOf(text, { maxLength: 3, options: { maxTargetLength: 4 } });
    expect(Array.from(cut.lengths)).toEqual([7, 6, 7]);
    expect(Math.min(...whole.map((length, i) => length - cut.lengths[i]!))).toBeGreaterThan(0);
  });

  test("the prefix is part of every text", async () => {
    const dataset = await datasetOf(text, { options: { sourcePrefix: "the" } });
    const plain = await datasetOf(text);
    expect(dataset.lengths[2]).toBe(plain.lengths[2]! + 1);
  });

  test("the digest covers texts and summaries", async () => {
    const digest = async (content: string) => {
      const hash = createHash("sha256");
      (await datasetOf(content)).digest(hash);
      return hash.digest("hex");
    };
    const expected = await digest(text);
    expect(await digest(text)).toBe(expected);
    expect(await digest(text.replace("a cat\n", "in cat\n"))).not.toBe(expected);
    expect(await digest(text.replace("\na,", "\nin,"))).not.toBe(expected);
  });

  test("without summaries it has no labels", async () => {
    const dataset = await datasetOf("text\nthe cat\n");
    expect([dataset.isLabelled, Array.from(dataset.lengths)]).toEqual([false, [4]]);
  });

  test("warns if most texts are truncated below what the model can read", async () => {
    const { warnings } = await datasetOf(text, { maxLength: 4 });
    expect(warnings).toEqual([
      "2 of the 3 texts of train reach --max-length 4: the model can read 64 tokens",
    ]);
    expect(
      (await datasetOf(text, { maxLength: 4, maxPositions: 4, options: { maxTargetLength: 4 } }))
        .warnings,
    ).toEqual([]);
  });
});

describe("refused before anything is trained", () => {
  const refusal = async (changes: Parameters<typeof datasetOf>[1]) =>
    datasetOf(text, changes).then(
      () => "accepted",
      (error: unknown) => String(error),
    );

  test("summaries longer than the model can generate", async () => {
    expect(await refusal({ options: { maxTargetLength: 65 } })).toContain(
      "--max-target-length must be at most 64 for this model, got 65",
    );
    expect(await refusal({ options: { maxTargetLength: 64 } })).toBe("accepted");
    const fewest = (minTargetLength: number) => refusal({ options: { minTargetLength } });
    expect(await fewest(9)).toContain(
      "--min-target-length must be at most --max-target-length, which is 8, got 9",
    );
    expect(await fewest(8)).toBe("accepted");
  });

  test("lengths without room beside the special tokens", async () => {
    expect(await refusal({ options: { maxTargetLength: 2 } })).toContain(
      "--max-target-length must be above 2, the special tokens around a text, got 2",
    );
    expect(await refusal({ maxLength: 2 })).toContain("--max-length must be above 2");
  });

  test("a model whose own options are unsupported", async () => {
    expect(await refusal({ generationConfig: { ...bartFolderConfig, do_sample: true } })).toContain(
      'generation_config.json: "do_sample" must be false or absent',
    );
  });

  test("a tokenizer with more tokens than the model has embeddings", async () => {
    expect(await refusal({ vocabSize: 270 })).toContain("271 tokens do not fit the model");
  });
});

test("an overview counts texts and summaries that are cut", async () => {
  const { lengths, samples } = (await datasetOf(text)).overview(1);
  const [texts, summaries] = lengths.map(({ tokens }) => Array.from(tokens));
  expect(lengths.map(({ of, flag, tooLong }) => [of, flag, tooLong])).toEqual([
    ["text", "max-length", 0],
    ["summary", "max-target-length", 0],
  ]);
  expect(samples).toHaveLength(1);
  expect([samples[0]?.ids.length, samples[0]?.label?.length]).toEqual([texts?.[0], summaries?.[0]]);
  const options = { maxTargetLength: Math.max(...(summaries ?? [])) - 1 };
  const cut = (await datasetOf(text, { maxLength: 4, options })).overview(0);
  expect(cut.lengths.map(({ tokens }) => Array.from(tokens))).toEqual([
    texts ?? [],
    summaries ?? [],
  ]);
  expect(cut.lengths.map(({ tooLong }) => tooLong)).toEqual([
    texts?.filter((length) => length > 4).length ?? -1,
    1,
  ]);
});
