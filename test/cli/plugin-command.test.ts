import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openPlugin } from "../../cli/plugins/open-families.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { writeBagPlugin } from "../helpers/bag-plugin.ts";
import { runHere } from "../helpers/run-here.ts";
import { tinyRows } from "./tiny-task.ts";

const project = join(import.meta.dir, "../..");
const root = realpathSync(mkdtempSync(join(tmpdir(), "adalora-plugin-")));
afterAll(() => rmSync(root, { recursive: true }));

const env = { PATH: process.env["PATH"] ?? "", HOME: join(root, "home") };
function spawn(command: readonly string[]) {
  const ran = Bun.spawnSync([process.execPath, ...command], { cwd: root, env, stdin: "ignore" });
  return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
}
const program = join(project, "cli/main.ts");
const adalora = (...words: string[]) => spawn([program, ...words]);
/** The same in this process. */
const adaloraHere = (...words: string[]) => runHere(words, { program, cwd: root, env });

setDefaultTimeout(60_000); // several processes a test, on a machine that may be busy

describe("plugin list", () => {
  test("shows the families of the program", () => {
    expect(adalora("plugin", "list").out).toContain(
      "bart\n  model types  bart\n  tasks        generation\n  modules      q_proj, k_proj",
    );
  });

  test("shows those of plugins first, and the model types that they take over", async () => {
    const bag = writeBagPlugin(join(root, "bag"), [`["bag"]`, `["bag", "bart"]`]);
    const words = ["plugin", "list", "--plugin", "bag/bag.ts", "--json"];
    const { stdout, stderr } = await adaloraHere(...words);
    const { families } = JSON.parse(stdout);
    expect(families[0]).toEqual({
      name: "bag",
      model_types: ["bag", "bart"],
      tasks: ["classification"],
      modules: ["dense"],
      file: bag,
    });
    const bart = families.find(({ name }: { name: string }) => name === "bart");
    expect(bart).toMatchObject({ model_types: [], file: null });
    expect(stderr).toBe(
      `model_type bart is handled by bag/bag.ts, plugin "bag", not by adalora's own "bart"\n`,
    );
  });
});

describe("a wrong command line", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["plugin", "no action given"],
    ["plugin lists", 'unexpected argument "lists"'],
    ["plugin list more", 'unexpected argument "more"'],
    ["plugin new", "no name given"],
    ["plugin new 9x", "9x is no name for a plugin"],
    ["plugin new none/mine", "none is no folder"],
  ];
  test.each(cases)("%s", async (line, message) => {
    const { code, stdout, stderr } = await adaloraHere(...line.split(" "));
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toStartWith(`error  ${message}`);
  });
});

describe("plugin new", () => {
  const source = join(root, "my-encoder.ts");
  let said = "";

  beforeAll(() => {
    mkdirSync(join(root, "node_modules"));
    symlinkSync(project, join(root, "node_modules/adalora"));
    said = adalora("plugin", "new", "my-encoder").out;
  });

  test("writes a plugin of at most 100 lines and its test, and says what to do next", () => {
    expect(said).toStartWith("my-encoder.ts\nmy-encoder.test.ts\n\nnpm i -D adalora");
    expect(said).toEndWith("adalora run --plugin ./my-encoder.ts --model DIR --data DATA\n");
    expect(readFileSync(source, "utf8").trimEnd().split("\n").length).toBeLessThanOrEqual(100);
    expect(readFileSync(source, "utf8")).not.toMatch(/\bNAME\b/);
  });

  test("never overwrites a file", async () => {
    writeFileSync(join(root, "other.test.ts"), "// mine");
    for (const name of ["my-encoder", "other", "other.ts"]) {
      const { code, stderr } = await adaloraHere("plugin", "new", name);
      expect([code, stderr]).toEqual([1, expect.stringContaining("exists already")]);
    }
    expect(readFileSync(join(root, "other.test.ts"), "utf8")).toBe("// mine");
    expect(existsSync(join(root, "other.ts"))).toBe(false);
  });

  test("writes TypeScript that the project's own compiler options accept", () => {
    const paths = {
      adalora: [join(project, "core/kit/kit.ts")],
      "adalora/core/*": [join(project, "core/*.ts")],
    };
    const options = { paths, typeRoots: [join(project, "node_modules/@types")] };
    const config = {
      extends: join(project, "tsconfig.json"),
      compilerOptions: options,
      files: ["my-encoder.ts", "my-encoder.test.ts"],
      include: [],
    };
    writeFileSync(join(root, "tsconfig.json"), JSON.stringify(config));
    const checked = spawn([join(project, "node_modules/.bin/tsc"), "-p", root]);
    expect(checked).toEqual({ code: 0, out: "", err: "" });
  });

  test("writes a test that passes", () => {
    const { code, err } = spawn(["test", "./my-encoder.test.ts"]);
    expect([code, err]).toEqual([0, expect.stringContaining(" 4 pass")]);
  });

  test("writes a plugin that passes every check on a checkpoint", async () => {
    await writeCheckpoint(source, join(root, "model"));
    const { code, out } = adalora("plugin", "check", "./my-encoder.ts", "--model", "model");
    expect([code, out]).toEqual([0, expect.not.stringContaining("fail")]);
  });

  test("writes a plugin that trains on a checkpoint, and predicts", async () => {
    mkdirSync(join(root, "data"));
    writeFileSync(join(root, "data/train.tsv"), tinyRows(20));
    writeFileSync(join(root, "data/dev.tsv"), tinyRows(6));
    const where = "--plugin my-encoder.ts --model model --data data --out out --json";
    const steps = "--max-steps 40 --batch-size 10 --init-rank 3 --target-rank 2 --lr 0.02";
    const rest = "--dropout 0 --cls-dropout 0 --max-length 32 --device reference";
    const trained = adalora("run", "rte", ...`${where} ${steps} ${rest}`.split(" "));
    expect([trained.code, trained.err]).toEqual([0, expect.not.stringContaining("error")]);
    expect(JSON.parse(trained.out).metrics.validation.accuracy).toBe(1);
    const words = ["predict", "--adapter", "out", "--device", "reference"];
    const predicted = await adaloraHere(...words, "a cat", "the cat looked");
    expect(JSON.parse(predicted.stdout).prediction).toBe("entailment");
  });
});

/** A checkpoint of a plugin's tiny model with random weights and no head. */
async function writeCheckpoint(file: string, folder: string): Promise<void> {
  mkdirSync(folder);
  const special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
  const vocabulary = [...special, ..."the a cat moon saw looked at".split(" ")];
  writeFileSync(join(folder, "vocab.txt"), vocabulary.map((token) => `${token}\n`).join(""));
  const config = {
    model_type: "my-encoder",
    vocab_size: vocabulary.length,
    hidden_size: 16,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    intermediate_size: 24,
    max_position_embeddings: 32,
    initializer_range: 0.3,
  };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  const { plugin } = await openPlugin(file);
  const backend = createReferenceBackend();
  const head = { task: "classification", labels: 2 } as const;
  const { tree } = declareModel(plugin, plugin.parseConfig(config), head);
  initializeWeights(backend, tree, 7);
  const backbone = [...tree.parameters.values()].filter(({ name }) => !/pooler|class/.test(name));
  const tensors = backbone.map(({ name, storedShape, buffer }) => {
    return [name, float32Tensor(storedShape, Float32Array.from(backend.download(buffer)))] as const;
  });
  writeSafetensors(join(folder, "model.safetensors"), new Map(tensors));
}
