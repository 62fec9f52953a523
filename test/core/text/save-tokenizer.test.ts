import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildTokenizer, readTokenizer } from "../../../core/text/load-tokenizer.ts";
import { tokenizerFiles } from "../../../core/text/save-tokenizer.ts";
import { bartTokenizer } from "../../../core/text/families/bart.ts";
import { debertaTokenizer } from "../../../core/text/families/deberta.ts";

const fixtures = join(import.meta.dir, "../../fixtures/text");
const texts = ["the cat", "ﬁn  ｃａｔ №5", " the\tmoon\n", "a [MASK] <mask> b", ""];

const families = [
  {
    family: debertaTokenizer,
    dir: join(fixtures, "tiny"),
    hasTokenTypes: true,
    tokens: { cls_token: "[CLS]", pad_token: "[PAD]", mask_token: "[MASK]" },
    inputs: ["input_ids", "token_type_ids", "attention_mask"],
  },
  {
    family: bartTokenizer,
    dir: join(fixtures, "tiny-bart"),
    hasTokenTypes: false,
    tokens: { cls_token: "<s>", pad_token: "<pad>", mask_token: "<mask>" },
    inputs: ["input_ids", "attention_mask"],
  },
];

for (const { family, dir, hasTokenTypes, tokens, inputs } of families) {
  test(`${family.name}: the saved tokenizer.json gives the same ids as the vocabulary`, async () => {
    const source = readTokenizer(dir, family);
    const files = tokenizerFiles(source, { maxPositions: 64, hasTokenTypes });
    const folder = mkdtempSync(join(tmpdir(), "adalora-tokenizer-"));
    for (const [name, content] of files) writeFileSync(join(folder, name), content);
    const saved = await buildTokenizer(readTokenizer(folder, family));
    const inputsOf = texts.map((text) => ({ text, pair: "a cat" }));
    const own = await buildTokenizer(source);
    expect(await saved.encode(inputsOf)).toEqual(await own.encode(inputsOf));
    expect(saved.specialIds).toEqual(own.specialIds);
    rmSync(folder, { recursive: true });
  });

  test(`${family.name}: the saved class is the one that keeps tokenizer.json as it is`, () => {
    const source = readTokenizer(dir, family);
    const files = tokenizerFiles(source, { maxPositions: 64, hasTokenTypes });
    const config: unknown = JSON.parse(String(files.get("tokenizer_config.json")));
    expect(config).toMatchObject({
      tokenizer_class: "PreTrainedTokenizerFast",
      model_input_names: inputs,
      model_max_length: 64,
      ...tokens,
    });
  });
}
