import { expect, test } from "bun:test";
import { join } from "node:path";
import { checkPlugin } from "../../../cli/plugin-check/check-plugin.ts";
import { findingsText } from "../../../cli/plugin-check/findings-text.ts";
import { readJsonObject } from "../../../core/io/json-file.ts";
import { builtInFamilies, plugins } from "../../../plugins/index.ts";
import { fakeOutput } from "../fake-output.ts";

const cases = join(import.meta.dir, "../../golden/cases");

/** A checkpoint of every built-in family, and of its variants with other modules. */
const folders = [
  "01-hub-style-fp16-bin",
  "02-conv-layer",
  "02-position-biased-types",
  "04-bart",
  "07-modernbert-cls",
  "07-modernbert-mean",
];

const pluginOf = (name: string) =>
  builtInFamilies.familyOf(String(readJsonObject(join(cases, name, "config.json"))["model_type"]))
    .plugin;

const check = (name: string) => checkPlugin(pluginOf(name), join(cases, name), {});

test("every built-in family is among these checkpoints", () => {
  const names = new Set(folders.map((name) => pluginOf(name).name));
  expect([...names].toSorted()).toEqual(plugins.map(({ name }) => name).toSorted());
});

for (const name of folders)
  test(`${name}: the built-in plugin passes every check`, async () => {
    const findings = await check(name);
    expect(findings.filter(({ level }) => level === "fail")).toEqual([]);
    const checks = new Set(findings.map((finding) => finding.check));
    expect(checks.size).toBeGreaterThan(11);
  });

test("the page joins the tasks that are found equal", async () => {
  const findings = await check("01-hub-style-fp16-bin");
  expect(findingsText(findings, fakeOutput())).toMatchInlineSnapshot(`
    "ok    declaration     deberta: classification, regression, span
    ok    config          deberta-v2: 90 tokens, any number of positions
    ok    weights         50 keys: 38 mapped to parameters, 12 ignored
    warn  weights         4 rules match nothing here: weights.rename /\\.LayerNorm\\.gamma$/, weights.rename /\\.LayerNorm\\.beta$/, weights.ignore /^(qa_outputs|pooler|classifier)\\./, weights.ignore /\\.pos_q_proj\\./
                          change: remove those that no checkpoint of the family needs
    ok    adapters        query, key, value, intermediate, layer.output, attention.output: 12 of 15 linear layers; without a short name: pooler.dense, classifier, qa_outputs
    skip  tokenizer       the folder holds no tokenizer: looked for tokenizer.json, spm.model
    ok    shrinking       the checks below run on 2 layers, 64 tokens, 2 heads, width 16
    ok    forward         classification: logits [4, 3]
    ok    forward         regression: logits [4, 1]
    ok    forward         span: logits [23, 2]
    ok    forward         span with padding (zero), span with padding (uniform): logits [26, 2]
    ok    memory          nothing is live after a pass, with checkpointing or without
    ok    gradients       classification, regression: 42 gradients equal the loss's slopes
    ok    gradients       span, span with padding (zero), span with padding (uniform): 40 gradients equal the loss's slopes
    ok    checkpointing   the same bits
    ok    batches         the same alone and packed, in any order, with holes in the mask
    ok    dropout         a function of the seed, off in evaluation
    ok    increments      each of 12 adapters has an effect
    ok    first tokens    the logits of an observed pass, which shows 3 states

    the plugin passes, 1 warning"
  `);
});
