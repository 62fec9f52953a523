import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SquadExample } from "../../../core/data/squad-question.ts";
import { trainFeatures, validationFeatures } from "../../../core/qa/features.ts";
import {
  cachedTrainFeatures,
  cachedValidationFeatures,
  type FeatureOptions,
} from "../../../core/tasks/span-features.ts";
import { ownCache } from "../../helpers/own-cache.ts";
import { examples, tinyTokenizer } from "../qa/fixtures.ts";
import { tokenizeOptions } from "./span-fixtures.ts";

const cache = ownCache();
const options: FeatureOptions = { ...tokenizeOptions(31), stride: 8 };

/** The same tokenizer to the cache, but one that cannot be built. */
function unbuildable({ tokenizer, ...rest }: FeatureOptions): FeatureOptions {
  const refuse = () => {
    throw new Error("a tokenizer is built");
  };
  const { family } = tokenizer;
  const convert = { files: [], ...family.convert, build: refuse };
  return { ...rest, tokenizer: { ...tokenizer, family: { ...family, convert } } };
}

const ways = [
  ["train", cachedTrainFeatures, trainFeatures],
  ["validation", cachedValidationFeatures, validationFeatures],
] as const;

describe.each(ways)("%s windows", (_, cached, build) => {
  test("come from the cache unchanged, without a tokenizer", async () => {
    const expected = await build(examples, await tinyTokenizer(), options);
    const first = await cached(examples, options);
    const second = await cached(examples, unbuildable(options));
    expect(first).toMatchObject({ features: expected, warnings: [] });
    expect(second).toEqual(first);
  });

  test.each<[string, Partial<FeatureOptions>, Partial<SquadExample>]>([
    ["another length", { maxLength: 40 }, {}],
    ["another stride", { stride: 4 }, {}],
    ["another vocabulary", { vocabSize: 600 }, {}],
    ["another question", {}, { question: "Where?" }],
    ["another context", {}, { context: "The cat sat.", answers: [] }],
  ])("are rebuilt for %s", async (_what, sizes, one) => {
    await cached(examples, options);
    const others = examples.map((example, i) => (i === 0 ? { ...example, ...one } : example));
    const attempt = cached(others, unbuildable({ ...options, ...sizes }));
    await expect(attempt).rejects.toThrow("a tokenizer is built");
  });

  test("are rebuilt if the cache file is damaged", async () => {
    const first = await cached(examples, options);
    const folder = join(cache, "adalora", "tokens");
    for (const name of readdirSync(folder)) writeFileSync(join(folder, name), "");
    expect(await cached(examples, options)).toEqual(first);
  });
});

test("a moved answer invalidates training windows but not validation windows", async () => {
  const moved = examples.map((example, i) => (i === 0 ? { ...example, answers: [] } : example));
  await cachedTrainFeatures(examples, options);
  await cachedValidationFeatures(examples, options);
  await expect(cachedTrainFeatures(moved, unbuildable(options))).rejects.toThrow("is built");
  const { features } = await cachedValidationFeatures(moved, unbuildable(options));
  expect(features.exampleOf.length).toBeGreaterThan(examples.length);
});

test("a cache folder that cannot be written causes a warning, not an error", async () => {
  const home = process.env["XDG_CACHE_HOME"];
  writeFileSync(join(cache, "file"), "");
  process.env["XDG_CACHE_HOME"] = join(cache, "file");
  const { warnings } = await cachedTrainFeatures(examples, options);
  process.env["XDG_CACHE_HOME"] = home;
  expect(warnings).toEqual([expect.stringMatching(/^tokens are not cached: /)]);
});
