import { beforeAll, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { toFloat64 } from "../../core/io/float-conversion.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { writeRounded } from "../../core/io/round-to.ts";
import { openSafetensors, writeSafetensors } from "../../core/io/safetensors.ts";
import { writeTorchStateDict } from "../../core/io/torch-writer.ts";
import { commandTest, predictionsIn } from "./command.ts";

const { run, training, path, task } = commandTest();
const dev = join(task.data, "dev.tsv");
const device = ["--device", "reference"];
const readJson = (...names: string[]) => JSON.parse(readFileSync(path(...names), "utf8"));
const trained = path("run");

beforeAll(async () => {
  expect((await run(training({ out: trained }))).code).toBe(0);
});

/** The class and logits of each row. */
async function predictions(...words: string[]) {
  const { code, stdout, stderr } = await run(["predict", "--input", dev, ...device, ...words]);
  expect([code, stderr]).toEqual([0, ""]);
  return predictionsIn(stdout);
}

async function expectSamePredictions(...words: string[]): Promise<void> {
  const [own, other] = [await predictions("--adapter", trained), await predictions(...words)];
  expect(other.map(({ prediction }) => prediction)).toEqual(
    own.map(({ prediction }) => prediction),
  );
  for (const [row, { logits }] of other.entries()) {
    for (const [i, logit] of logits.entries()) expect(logit).toBeCloseTo(own[row]!.logits[i]!, 5);
  }
}

describe("adalora export", () => {
  test.each(["peft", "peft --canonical", "lora", "lora --uniform", "lora --canonical"])(
    "--to %s predicts what the adapter does",
    async (to) => {
      const out = path(to.replaceAll(" ", ""));
      const words = ["export", trained, "--to", ...to.split(" "), "-o", out, ...device, "--json"];
      const { code, stdout } = await run(words);
      expect(code).toBe(0);
      const { difference } = JSON.parse(stdout);
      expect(difference.modules).toBeLessThan(1e-6);
      expect(difference.logits).toBeLessThan(1e-5);
      await expectSamePredictions("--adapter", out, "--model", task.model);
      expect(readdirSync(out)).toContain("README.md");
    },
  );

  test("--to lora leaves out modules of rank 0; --uniform gives all one rank and no pattern", () => {
    const ranks = readJson("run", "rank_pattern.json");
    const kept = Object.values(ranks).filter((rank) => rank !== 0);
    expect(kept.length).toBeLessThan(Object.keys(ranks).length);
    expect(readPeftAdapter(path("lora")).modules).toHaveLength(kept.length);
    expect(readJson("lora--uniform", "adapter_config.json")).toMatchObject({
      peft_type: "LORA",
      r: Math.max(...kept.map(Number)),
      lora_alpha: Math.max(...kept.map(Number)),
      rank_pattern: {},
      alpha_pattern: {},
    });
  });

  test("says what servers will not take", async () => {
    const name = ["--base-name", "org/tiny"];
    const { stderr } = await run(["export", trained, "--to", "lora", "-o", path("noted"), ...name]);
    expect(readJson("noted", "adapter_config.json").base_model_name_or_path).toBe("org/tiny");
    expect(stderr.split("\n")).toEqual([
      "vLLM reads one rank and one alpha and ignores the others: --uniform writes one",
      "vLLM accepts no trained modules but classifier and score, and this adapter has pooler: --to merged is for it",
      "",
    ]);
  });

  test("leaves out a base model's path, which PEFT writes", async () => {
    const from = path("by-peft");
    cpSync(path("run", "adapter"), from, { recursive: true });
    const file = join(from, "adapter_config.json");
    const config = JSON.parse(readFileSync(file, "utf8"));
    writeFileSync(file, JSON.stringify({ ...config, base_model_name_or_path: task.model }));
    const out = path("without-path");
    const { code } = await run(["export", from, "--to", "peft", "-o", out, ...device]);
    expect(code).toBe(0);
    for (const name of ["adapter_config.json", "README.md", "adalora.json"]) {
      expect(readFileSync(join(out, name), "utf8")).not.toContain(task.folder);
    }
  });

  test("--to loralib writes the authors' state dict", async () => {
    const out = path("loralib");
    const { code } = await run(["export", trained, "--to", "loralib", "-o", out]);
    expect([code, readdirSync(out).toSorted()]).toEqual([0, ["loralib.pt", "rank_pattern.json"]]);
    expect(readJson("loralib", "rank_pattern.json")).toEqual(readJson("run", "rank_pattern.json"));
  });
});

describe("a merged model", () => {
  const merged = path("merged");

  test("predicts the class names without adapter, base or task", async () => {
    const { code, stdout } = await run(["merge", trained, "-o", merged, ...device]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/difference of logits +\d\.\de-\d/);
    expect(stdout).toMatch(/rounding of weights +\d\.\de-\d/);
    await expectSamePredictions("--model", merged);
  });

  test("has the base's keys and a head, its tokenizer byte for byte, and the labels", () => {
    const tensors = (dir: string) => openSafetensors(join(dir, "model.safetensors")).tensors;
    const heads = ["pooler.dense", "classifier"].flatMap((name) => [
      `${name}.weight`,
      `${name}.bias`,
    ]);
    expect([...tensors(merged).keys()].toSorted()).toEqual(
      [...tensors(task.model).keys(), ...heads].toSorted(),
    );
    const spm = (dir: string) => readFileSync(join(dir, "spm.model"));
    expect(spm(merged).equals(spm(task.model))).toBe(true);
    expect(readJson("merged", "config.json")).toMatchObject({
      architectures: ["DebertaV2ForSequenceClassification"],
      num_labels: 2,
      id2label: { 0: "entailment", 1: "not_entailment" },
      label2id: { entailment: 0, not_entailment: 1 },
    });
    expect(readFileSync(path("merged", "README.md"), "utf8")).toContain("| 1 | not_entailment |");
  });

  test("of a bf16 base in shards has its dtype and shards, and the error of rounding is shown", async () => {
    const base = path("bf16");
    mkdirSync(base);
    writeBf16Shards(task.model, base);
    const out = path("merged-bf16");
    const words = ["export", trained, "--to", "merged", "--model", base, "-o", out, "--json"];
    const { code, stdout, stderr } = await run([...words, ...device]);
    expect(code).toBe(0);
    expect(stderr).toContain("rounding to the base's dtype loses up to");
    const { rounding } = JSON.parse(stdout);
    expect(rounding.largest).toBeGreaterThan(1e-4);
    expect(rounding.largest).toBeLessThan(1e-2);
    const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
    for (const name of shards) {
      const [before, after] = [base, out].map((dir) => openSafetensors(join(dir, name)).tensors);
      for (const [key, { dtype, shape }] of before!) {
        expect([key, after!.get(key)?.dtype, after!.get(key)?.shape]).toEqual([key, dtype, shape]);
      }
    }
    const { weight_map: map } = readJson("merged-bf16", "model.safetensors.index.json");
    expect(map["classifier.weight"]).toBe(shards[1]);
    const found = await predictions("--model", out);
    const expected = await predictions("--adapter", trained, "--model", base);
    for (const [row, { logits }] of found.entries()) {
      expect(logits[0]).toBeCloseTo(expected[row]!.logits[0]!, 1);
    }
  });
});

test("a merged model of an adapter outside its run has the base's tokenizer, or else the adapter's", async () => {
  const alone = path("alone");
  cpSync(path("run", "adapter"), alone, { recursive: true });
  const bare = path("bare");
  cpSync(task.model, bare, { recursive: true });
  rmSync(join(bare, "spm.model"));
  const tokenizerOf = async (base: string, out: string) => {
    const words = ["merge", alone, "--model", base, "-o", out, ...device];
    expect((await run(words)).code).toBe(0);
    const files = readdirSync(out).filter((name) => /spm|tokenizer/.test(name));
    const { tokenizer_class: kind } = JSON.parse(
      readFileSync(join(out, "tokenizer_config.json"), "utf8"),
    );
    return [files.toSorted(), kind];
  };
  const [kind, both] = ["PreTrainedTokenizerFast", ["tokenizer.json", "tokenizer_config.json"]];
  expect(await tokenizerOf(task.model, path("m1"))).toEqual([["spm.model", ...both], kind]);
  expect(await tokenizerOf(bare, path("m2"))).toEqual([both, kind]);
  await expectSamePredictions("--model", path("m2"));
});

test("a base in pytorch_model.bin is merged into model.safetensors", async () => {
  const base = path("torch");
  mkdirSync(base);
  for (const name of ["config.json", "spm.model"]) {
    copyFileSync(join(task.model, name), join(base, name));
  }
  const { tensors } = openSafetensors(join(task.model, "model.safetensors"));
  writeTorchStateDict(join(base, "pytorch_model.bin"), tensors);
  const out = path("merged-torch");
  const { code } = await run(["merge", trained, "--model", base, "-o", out, ...device]);
  expect(code).toBe(0);
  const bytes = (dir: string) => readFileSync(join(dir, "model.safetensors"));
  expect(bytes(out).equals(bytes(path("merged")))).toBe(true);
});

describe("adalora inspect", () => {
  test("shows ranks, budget and, with the base model, each increment's share of its weight", async () => {
    const { code, stdout } = await run(["inspect", trained, "--model", task.model, "--json"]);
    expect(code).toBe(0);
    const found = JSON.parse(stdout);
    const ranks = found.modules.map((one: { path: string; rank: number }) => [
      `${one.path}.lora_E`,
      one.rank,
    ]);
    expect(Object.fromEntries(ranks)).toEqual(readJson("run", "rank_pattern.json"));
    expect(found).toMatchObject({ task: "rte", labels: ["entailment", "not_entailment"] });
    expect(found.budget).toHaveLength(24);
    expect(found.budget.at(-1)).toEqual({ step: 24, budget: 12 });
    const [first] = found.modules.filter(({ rank }: { rank: number }) => rank > 0);
    expect(first.share).toBeGreaterThan(0.001);
    expect(first.share).toBeLessThan(1);
  });

  test("reads the adapter alone, without its base model", async () => {
    const { code, stdout } = await run(["inspect", path("lora")]);
    expect([code, stdout.includes("method                            LoRA")]).toEqual([0, true]);
  });
});

describe("adalora export refuses", () => {
  const refusals: readonly (readonly [string, readonly string[], string])[] = [
    ["no adapter", ["--to", "lora", "-o", "x"], "error  no adapter given"],
    ["no format", [trained, "-o", "x"], "error  no format given"],
    ["no folder", [trained, "--to", "lora"], "error  no --out given"],
    [
      "--uniform for weights that have no rank",
      [trained, "--to", "merged", "--uniform", "-o", "x"],
      "error  --uniform does not apply to --to merged",
    ],
    [
      "--canonical where nothing would change",
      [trained, "--to", "merged", "--canonical", "-o", "x"],
      "error  --canonical does not apply to --to merged",
    ],
    ["a folder with other files", [trained, "--to", "lora", "-o", task.data], "is not empty"],
    [
      "a run's weights as the place, also with --overwrite",
      [trained, "--to", "lora", "-o", join(trained, "adapter"), "--overwrite"],
      "adapter holds the weights of a run",
    ],
    [
      "the base model as the place, also with --overwrite",
      [trained, "--to", "merged", "-o", task.model, "--overwrite"],
      "base is what is exported",
    ],
  ];

  test.each(refusals)("%s", async (_, words, message) => {
    const { code, stderr } = await run(["export", ...words]);
    expect(code).toBe(1);
    expect(stderr.split("\n")[0]).toContain(message);
  });

  test("an adapter whose conversion overflows, and writes nothing", async () => {
    const damaged = path("damaged");
    cpSync(path("run", "adapter"), damaged, { recursive: true });
    const file = join(damaged, "adapter_model.safetensors");
    const tensors = new Map(
      [...openSafetensors(file).tensors].map(([key, tensor]) => {
        const values = Float32Array.from(toFloat64(tensor), (x) =>
          key.endsWith("lora_B") ? x : 3e38,
        );
        const isFactor = /lora_[AE]$/.test(key);
        return [
          key,
          isFactor ? { ...tensor, bytes: new Uint8Array(values.buffer) } : tensor,
        ] as const;
      }),
    );
    writeSafetensors(file, tensors);
    const out = path("never");
    const words = ["export", damaged, "--model", task.model, "--to", "lora", "-o", out, ...device];
    const { code, stderr } = await run(words);
    expect([code, existsSync(out)]).toEqual([1, false]);
    expect(stderr).toContain(
      "error  the largest difference of the modules' outputs must be at most",
    );
  });
});

/** The model in bf16, in two shards with an index. */
function writeBf16Shards(from: string, to: string): void {
  for (const name of ["config.json", "spm.model"]) copyFileSync(join(from, name), join(to, name));
  const all = [...openSafetensors(join(from, "model.safetensors")).tensors].map(([key, tensor]) => {
    const values = toFloat64(tensor);
    const bytes = new Uint8Array(2 * values.length);
    writeRounded("BF16", values, bytes, key);
    return [key, { dtype: "BF16", shape: tensor.shape, bytes }] as const;
  });
  const half = Math.ceil(all.length / 2);
  const map: Record<string, string> = {};
  for (const [i, part] of [all.slice(0, half), all.slice(half)].entries()) {
    const name = `model-0000${i + 1}-of-00002.safetensors`;
    writeSafetensors(join(to, name), new Map(part));
    for (const [key] of part) map[key] = name;
  }
  const index = { metadata: {}, weight_map: map };
  writeFileSync(join(to, "model.safetensors.index.json"), JSON.stringify(index));
}
