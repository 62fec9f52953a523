import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tokenizeExamples } from "../../../core/tasks/sequence-examples.ts";
import { debertaTokenizer } from "../../../core/text/families/deberta.ts";
import { readTokenizer } from "../../../core/text/load-tokenizer.ts";
import { demoTokenizerJson, vocabulary } from "../../../demo/tokenizer.ts";

const folder = mkdtempSync(join(tmpdir(), "without-special-tokens-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const tokenize = (texts: readonly string[], json: object) => {
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(json));
  const examples = texts.map((text, index) => ({ index, text }));
  const set = { examples, labelNames: undefined, warnings: [] };
  return tokenizeExamples("train", set, {
    tokenizer: readTokenizer(folder, debertaTokenizer),
    maxLength: 8,
    vocabSize: vocabulary.length,
    modelConfig: "config.json",
    maxPositions: 40,
    rawConfig: {},
  });
};

test("an empty text is an error where the tokenizer adds no special tokens", async () => {
  const json = { ...demoTokenizerJson(), post_processor: null };
  expect((await tokenize(["the lion", "the fox"], json)).lengths).toEqual(Int32Array.of(2, 2));
  await expect(tokenize(["the lion", "", "the fox"], json)).rejects.toMatchObject({
    code: "E_TOKENIZE",
    message: "[tokenize] every text needs a token: got none in row 1, counted from 0",
    hint: "this tokenizer adds no special tokens: remove the rows without text",
  });
});

test("and has the special tokens where it does", async () =>
  expect((await tokenize(["the lion", ""], demoTokenizerJson())).lengths).toEqual(
    Int32Array.of(4, 2),
  ));
