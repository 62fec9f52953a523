import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { bartTokenizer } from "../../core/text/families/bart.ts";
import { specialToken } from "../../core/text/tokenizer-json.ts";
import { tinyBartDir } from "../core/text/fixtures.ts";
import { runResults } from "../helpers/run-results.ts";
import { tinyModernBert, tinyModernBertConfig } from "../helpers/tiny-modernbert.ts";
import { commandTest, cpu } from "./command.ts";

const { run, start, training, path } = commandTest();
const model = path("modernbert");
const whole = path("whole");
const VOCABULARY = 320;
const config = { vocab_size: VOCABULARY, hidden_size: 16, max_position_embeddings: 64 };
const flags = { model, "max-length": 48, "save-steps": 3 };

/** tokenizer.json as ModernBERT has it: byte-level BPE, [CLS] and [SEP] around each text. */
function tokenizerJson(): object {
  const files = ["vocab.json", "merges.txt"].map((name) => {
    const file = join(tinyBartDir, name);
    return { path: file, bytes: readFileSync(file) };
  });
  const base = bartTokenizer.convert?.build(files, {});
  const names = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"];
  const first = 271; // behind the vocabulary, as in the released files
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
  const text = (id: string) => ({ Sequence: { id, type_id: 0 } });
  const single = [token("[CLS]"), text("A"), token("[SEP]")];
  const entry = (id: string) => [id, { id, ids: [first + names.indexOf(id)], tokens: [id] }];
  return {
    ...base,
    added_tokens: names.map((name, i) => specialToken(first + i, name, { normalized: false })),
    post_processor: {
      type: "TemplateProcessing",
      single,
      pair: [...single, text("B"), token("[SEP]")],
      special_tokens: Object.fromEntries([entry("[CLS]"), entry("[SEP]")]),
    },
  };
}

/** A checkpoint of masked language modelling, whose head the classifier takes over. */
function writeModel(): void {
  mkdirSync(model);
  const raw = { ...tinyModernBertConfig, ...config, initializer_range: 0.3 };
  writeFileSync(join(model, "config.json"), JSON.stringify(raw));
  writeFileSync(join(model, "tokenizer.json"), JSON.stringify(tokenizerJson()));
  const backend = createReferenceBackend();
  const { tree } = tinyModernBert(backend, { method: "full", config: raw });
  const tensors = [...tree.parameters.values()].flatMap(({ name, shape, buffer }) => {
    const values = Float32Array.from(backend.download(buffer));
    return name.startsWith("classifier") ? [] : [[name, float32Tensor(shape, values)] as const];
  });
  const decoder = [
    "decoder.bias",
    float32Tensor([VOCABULARY], new Float32Array(VOCABULARY)),
  ] as const;
  writeSafetensors(join(model, "model.safetensors"), new Map([...tensors, decoder]));
}

beforeAll(async () => {
  writeModel();
  const trained = await run(training({ ...flags, out: whole }));
  expect([trained.code, trained.stderr]).toEqual([0, expect.not.stringContaining("bug in")]);
});

describe("a run of ModernBERT", () => {
  test("prunes query, key and value separately, and saves them as one adapter of Wqkv", () => {
    const ranks: Record<string, number> = JSON.parse(
      readFileSync(join(whole, "rank_pattern.json"), "utf8"),
    );
    const parts = ["query", "key", "value"].map(
      (part) => ranks[`model.layers.1.attn.Wqkv.${part}.lora_E`],
    );
    expect(Object.keys(ranks)).toHaveLength(18);
    expect(new Set(Object.values(ranks)).size).toBeGreaterThan(1);
    const adapter = readPeftAdapter(join(whole, "adapter"));
    const fused = adapter.modules.find((module) => module.path === "model.layers.1.attn.Wqkv");
    expect(fused?.A.shape[0]).toBe(parts.reduce<number>((sum, rank) => sum + (rank ?? NaN), 0));
    expect(adapter.modules).toHaveLength(12);
    expect([...adapter.saved.keys()].toSorted()).toEqual([
      "classifier.bias",
      "classifier.weight",
      "head.dense.weight",
      "head.norm.weight",
    ]);
  });

  test.skipIf(!cpu.backend)("is evaluated from its adapter with the bits of its end", async () => {
    const [out, device] = [path("on-cpu"), ["--device", "cpu", "--threads", "1"]];
    const own = training({ ...flags, device: "cpu", threads: 1, out });
    expect((await run(own)).code).toBe(0);
    const evaluated = await run(["eval", "--adapter", out, ...device, "--json"]);
    const { metrics } = JSON.parse(readFileSync(join(out, "metrics.json"), "utf8"));
    expect(JSON.parse(evaluated.stdout).metrics).toEqual(metrics);
  });

  test("that is interrupted and resumed ends as if it had not been", async () => {
    const out = path("interrupted");
    const started = start(training({ ...flags, out }));
    await started.signalAfter("step 10/24", "SIGINT");
    expect((await started.ended).code).toBe(130);
    expect((await run(["run", "--resume", "--out", out])).code).toBe(0);
    expect(runResults(out).results).toEqual(runResults(whole).results);
  });

  test("is exported with its fused layers whole, and merged", async () => {
    const pair = ["the cat looked at the moon", "the cat"];
    const device = ["--device", "reference"];
    const own = await run(["predict", "--adapter", whole, ...device, ...pair]);
    const [expected] = JSON.parse(own.stdout).logits;
    for (const to of ["lora", "lora --uniform", "peft --canonical", "merged"]) {
      const out = path(to.replaceAll(" ", ""));
      const words = ["export", whole, "--to", ...to.split(" "), "-o", out, ...device];
      const { code, stderr } = await run(words);
      expect([to, code, stderr]).toEqual([to, 0, expect.any(String)]);
      const source = to === "merged" ? ["--model", out] : ["--adapter", out, "--model", model];
      const found = await run(["predict", ...source, ...device, ...pair]);
      expect(JSON.parse(found.stdout).logits[0]).toBeCloseTo(expected, 5);
    }
  });

  test("trains and answers questions with padding that counts, and that does not", async () => {
    const data = path("squad.json");
    const context = "the cat sat on the mat and the dog ran to the moon";
    const qas = ["who sat?", "what ran?"].map((question, i) => ({
      id: `q${i}`,
      question,
      answers: [{ text: i === 0 ? "cat" : "dog", answer_start: i === 0 ? 4 : 31 }],
    }));
    writeFileSync(data, JSON.stringify({ data: [{ paragraphs: [{ context, qas }] }] }));
    for (const padding of ["auto", "zero", "uniform", "none"]) {
      const words = ["run", "squad", "--model", model, "--data", data, "--out", path(padding)];
      const sizes = ["--max-length", "40", "--doc-stride", "8", "--batch-size", "2", "--max-steps"];
      const ranks = ["3", "--init-rank", "2", "--target-rank", "1", "--init-warmup", "0"];
      const rest = ["--final-warmup", "1", "--span-padding", padding, "--device", "reference"];
      const trained = await run([...words, ...sizes, ...ranks, ...rest]);
      expect([trained.code, trained.stderr]).toEqual([0, expect.any(String)]);
    }
  });
});
