import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { commandTest, predictionsIn } from "./command.ts";

const { run, training, path, task } = commandTest();
const out = path("run");
const device = ["--device", "reference"];

beforeAll(async () => {
  expect((await run(training({ out }))).code).toBe(0);
});

const predict = (...args: string[]) => run(["predict", "--adapter", out, ...device, ...args]);
const evaluate = (...args: string[]) => run(["eval", "--adapter", out, ...device, ...args]);

/** The rows of dev.tsv, header left out. */
const devRows = () =>
  readFileSync(join(task.data, "dev.tsv"), "utf8")
    .trimEnd()
    .split("\n")
    .slice(1)
    .map((line) => line.split("\t"));

function file(name: string, content: string | Uint8Array): string {
  writeFileSync(path(name), content);
  return path(name);
}

describe("predict", () => {
  test("says the same of a file in every format, and of standard input", async () => {
    const rows = devRows();
    const columns = (place: number) => rows.map((row) => row[place] ?? "");
    const csv = rows.map(([, a, b]) => `"${a}",${b}\n`).join("");
    const jsonl = rows.map(([, a, b]) => JSON.stringify({ sentence2: b, sentence1: a })).join("\n");
    const parquet = parquetWriteBuffer({
      columnData: [
        { name: "sentence1", data: columns(1), type: "STRING" },
        { name: "sentence2", data: columns(2), type: "STRING" },
      ],
    });
    const expected = await predict("--input", join(task.data, "dev.tsv"));
    expect([expected.code, expected.stderr, predictionsIn(expected.stdout).length]).toEqual([
      0,
      "",
      6,
    ]);
    const csvText = `sentence1,sentence2\n${csv}`;
    for (const input of [
      file("x.csv", csvText),
      file("x.jsonl", jsonl),
      file("x.parquet", new Uint8Array(parquet)),
    ]) {
      expect((await predict("--input", input)).stdout).toBe(expected.stdout);
    }
    const piped = await run(["predict", "--adapter", out, ...device, "--input", "-"], {}, csvText);
    expect(piped.stdout).toBe(expected.stdout);
  });

  test("says the same of a pair of arguments, and of one on standard input", async () => {
    const [, a = "", b = ""] = devRows()[0] ?? [];
    const [expected] = predictionsIn((await predict("--input", join(task.data, "dev.tsv"))).stdout);
    const typed = await predict(a, b);
    const [got, ...rest] = predictionsIn(typed.stdout);
    expect([typed.stderr, rest.length, got]).toEqual([
      "",
      0,
      { ...expected!, logits: expected!.logits.map((x) => expect.closeTo(x, 9)) },
    ]);
    const args = ["predict", "--adapter", out, ...device, a, "-"];
    expect((await run(args, {}, `${b}\n`)).stdout).toBe(typed.stdout);
  });

  test("warns of an argument that is the name of a file", async () => {
    const name = join(task.data, "dev.tsv");
    const { code, stderr } = await predict(name, "the cat");
    expect([code, stderr]).toEqual([
      0,
      `warn  "${name}" is read as a text; --input ${name} predicts the rows of the file\n`,
    ]);
  });

  test("writes the test set's predictions and GLUE's own file for them", async () => {
    const to = path("submission");
    const { code, stdout } = await predict("--data", task.data, "--out", to, "--json");
    const files = ["predictions.jsonl", "RTE.tsv"].map((name) => join(to, name));
    expect([code, JSON.parse(stdout)]).toEqual([0, { task: "rte", rows: 4, which: "last", files }]);
    const names = predictionsIn(readFileSync(join(to, "predictions.jsonl"), "utf8")).map(
      ({ prediction }) => prediction,
    );
    expect(readFileSync(join(to, "RTE.tsv"), "utf8")).toBe(
      `index\tprediction\n${names.map((name, i) => `${i}\t${name}\n`).join("")}`,
    );
  });

  test("does not submit a part of a test set, nor read labels", async () => {
    const to = path("part");
    const input = file(
      "test.tsv",
      "index\tsentence1\tsentence2\tlabel\n0\tthe cat\ta\twhatever\n1\tthe\ta\t\n",
    );
    const { code, stderr } = await predict("--input", input, "--limit", "1", "--out", to);
    expect([code, stderr]).toEqual([0, ""]);
    expect(readdirSync(to)).toEqual(["predictions.jsonl"]);
    expect(predictionsIn(readFileSync(join(to, "predictions.jsonl"), "utf8"))).toHaveLength(1);
  });

  test("writes a table whose ending says its format, with probabilities and kept columns", async () => {
    const dev = join(task.data, "dev.tsv");
    const to = path("table.csv");
    const keep = ["--keep-columns", "sentence2,index", "--limit", "2"];
    const { code, stderr, stdout } = await predict("--input", dev, "--out", to, ...keep);
    expect([code, stderr, stdout]).toEqual([0, "", `2 rows predicted\n${to}\n`]);
    const expected = predictionsIn((await predict("--input", dev, "--limit", "2")).stdout);
    const header = "index,sentence2,prediction,probability_entailment,probability_not_entailment\n";
    const lines = expected.map(({ prediction, probabilities = {} }, i) => {
      const [id = "", , pair = ""] = devRows()[i] ?? [];
      const values = Object.values(probabilities);
      expect(values[0]! + values[1]!).toBeCloseTo(1, 12);
      const surest = Object.entries(probabilities).toSorted(([, a], [, b]) => b - a)[0]?.[0];
      expect(surest).toBe(String(prediction));
      return `${id},${pair},${prediction},${values.join(",")}\n`;
    });
    expect(readFileSync(to, "utf8")).toBe(header + lines.join(""));

    const again = await predict("--input", dev, "--out", to);
    expect([again.code, again.stderr]).toEqual([
      1,
      `error  ${to} already exists\n  hint: --overwrite replaces it, --out writes elsewhere\n`,
    ]);
    const one = await predict("--input", dev, "--limit", "1", "-o", to, "--overwrite");
    expect(one.stdout).toBe(`1 row predicted\n${to}\n`);
    expect((await predict("--input", dev, "--out", to, "--overwrite")).code).toBe(0);
    expect(readFileSync(to, "utf8").split("\n")).toHaveLength(8);
  });

  test("keeps all columns of texts given as arguments, and knows no other", async () => {
    const [a = "", b = ""] = (devRows()[0] ?? []).slice(1);
    const all = await predict(a, b, "--keep-columns", "all");
    expect(JSON.parse(all.stdout)).toMatchObject({ index: 0, sentence1: a, sentence2: b });
    const { code, stderr } = await predict(a, b, "--keep-columns", "id,sentence1");
    expect([code, stderr]).toEqual([
      1,
      'error  the command line:1: there is no column "id" to keep: got "sentence1", "sentence2"\n' +
        "  hint: --keep-columns names columns of the input, or is all\n",
    ]);
  });

  test("with --json and no folder holds all predictions in its one object", async () => {
    const { stdout } = await predict(
      "--input",
      join(task.data, "dev.tsv"),
      "--limit",
      "2",
      "--json",
    );
    const { task: name, rows, predictions } = JSON.parse(stdout);
    expect([name, rows]).toEqual(["rte", 2]);
    expect(predictions.map(({ index }: { index: number }) => index)).toEqual([0, 1]);
  });
});

describe("eval", () => {
  test("of a file, of a split, and into a folder", async () => {
    const dev = JSON.parse((await evaluate("--json")).stdout);
    const ofFile = JSON.parse(
      (await evaluate("--data", join(task.data, "dev.tsv"), "--json")).stdout,
    );
    expect(ofFile.metrics).toEqual(dev.metrics);
    const train = JSON.parse((await evaluate("--split", "train", "--json")).stdout);
    expect([train.rows, Object.keys(train.metrics)]).toEqual([20, ["train"]]);
    const to = path("evaluated");
    const { stdout } = await evaluate("--out", to);
    expect(stdout).toContain(
      `validation accuracy               ${dev.metrics.validation.accuracy.toFixed(4)}\n`,
    );
    const { files: _, ...saved } = dev;
    expect(JSON.parse(readFileSync(join(to, "metrics.json"), "utf8"))).toEqual(saved);
    const written = predictionsIn(readFileSync(join(to, "predictions.jsonl"), "utf8"));
    expect(written.map(({ label }) => label)).toEqual(devRows().map((row) => row.at(-1)));
    const again = await evaluate("--out", to);
    expect(again.stderr).toStartWith(`error  ${join(to, "metrics.json")} already exists\n`);
    const csv = path("evaluated.csv");
    expect((await evaluate("--out", csv)).stdout).toEndWith(`\n${csv}\n`);
    expect(readFileSync(csv, "utf8")).toStartWith("index,label,prediction,probability_");
  });

  test("of the adapter at its best step", async () => {
    const { metrics } = JSON.parse(
      (await run(["eval", "--adapter", join(out, "best_adapter"), ...device, "--json"])).stdout,
    );
    const best = readFileSync(join(out, "log.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"evaluation"'))
      .map((line) => JSON.parse(line).evaluation.validation);
    const top = Math.max(...best.map(({ accuracy }: { accuracy: number }) => accuracy));
    expect(metrics.validation.accuracy).toBe(top);
  });
});

describe("weights that are not finite", () => {
  /** Sets the first number of a tensor, found by the end of its name. */
  function setFirst(weights: string, ending: string, value: number): void {
    const bytes = readFileSync(weights);
    const headerLength = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString("utf8", 8, 8 + headerLength));
    const key = Object.keys(header).find((one) => one.endsWith(ending));
    bytes.writeFloatLE(value, 8 + headerLength + header[key!].data_offsets[0]);
    writeFileSync(weights, bytes);
  }

  test.each([
    ["predict", ["--input", join(task.data, "dev.tsv")]],
    ["eval", ["--data", task.data]],
  ])("of the model end %s with an error that names the rows, not a class", async (verb, input) => {
    const model = path(`nan-model-${verb}`);
    cpSync(task.model, model, { recursive: true });
    setFirst(join(model, "model.safetensors"), "embeddings.LayerNorm.bias", NaN);
    const words = [verb, "--adapter", out, "--model", model, ...device, ...input];
    const { code, stdout, stderr } = await run(words);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(
      /^error {2}\w+: logits must be finite: got NaN or Infinity in 6 of 6 rows, counted from 0: 0, 1, 2, 3, 4, 5\n {2}hint: all rows: /,
    );
  });

  test.each([NaN, Infinity])(
    "of the adapter are refused before they are used: %p",
    async (value) => {
      const broken = path(`broken-${value}`);
      cpSync(out, broken, { recursive: true });
      setFirst(join(broken, "adapter", "adapter_model.safetensors"), "classifier.bias", value);
      const input = ["--input", join(task.data, "dev.tsv")];
      const { code, stdout, stderr } = await run([
        "predict",
        "--adapter",
        broken,
        ...device,
        ...input,
      ]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(/classifier\.bias": holds a value that is not a finite number/);
    },
  );
});

describe("a whole model of others", () => {
  /** A whole model for MNLI whose classes have another order than the task's. */
  async function mnliModel(): Promise<string> {
    const data = path("mnli");
    mkdirSync(data);
    const rows = ["entailment", "neutral", "contradiction", "neutral", "entailment", "neutral"]
      .map(
        (label, i) =>
          `${["the cat", "a moon", "the moon"][i % 3]}\t${"a ".repeat(i + 1)}\t${label}`,
      )
      .join("\n");
    for (const name of ["train", "dev_matched"])
      writeFileSync(join(data, `${name}.tsv`), `sentence1\tsentence2\tgold_label\n${rows}\n`);
    const flags = ["--task", "mnli", "--method", "full", "--model", task.model, "--data", data];
    const to = path("mnli-run");
    const words = ["--max-steps", "4", "--batch-size", "6", "--out", to, ...device];
    const { init: _, ...ended } = {
      init: 0,
      ...(await run(["run", file("mnli.toml", ""), ...flags, ...words])),
    };
    expect(ended).toMatchObject({ code: 0 });
    return join(to, "model");
  }

  test("has its classes put into the task's order, by their names", async () => {
    const model = await mnliModel();
    const args = ["eval", "--model", model, "--task", "mnli", "--data", path("mnli"), ...device];
    const expected = JSON.parse((await run([...args, "--out", path("expected"), "--json"])).stdout);
    const shuffled = path("shuffled");
    cpSync(model, shuffled, { recursive: true });
    const configPath = join(shuffled, "config.json");
    const config = JSON.parse(readFileSync(configPath, "utf8"));
    expect(config.id2label).toEqual({ "0": "entailment", "1": "neutral", "2": "contradiction" });
    const rename = (names: readonly string[]) =>
      writeFileSync(
        configPath,
        JSON.stringify({ ...config, id2label: Object.fromEntries(names.map((n, i) => [i, n])) }),
      );
    rename(["Contradiction", "Entailment", "Neutral"]);
    args[2] = shuffled;
    const named = await run([...args, "--out", path("named"), "--json"]);
    const logits = (name: string) =>
      predictionsIn(readFileSync(path(name, "predictions.jsonl"), "utf8")).map((p) => p.logits);
    expect(logits("named")).toEqual(logits("expected").map(([a = 0, b = 0, c = 0]) => [b, c, a]));
    expect(named.stderr).toBe("");
    rename(["yes", "maybe", "no"]);
    const odd = await run([...args, "--json"]);
    expect(JSON.parse(odd.stdout).metrics).toEqual(expected.metrics);
    expect(odd.stderr).toContain(
      "the model's classes yes, maybe, no are read as entailment, neutral,",
    );
    rename(["yes", "no"]);
    expect((await run(args)).stderr).toContain("the model has 2 classes, the task 3");
  });
});
