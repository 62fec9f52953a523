import { beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parquetWriteBuffer } from "hyparquet-writer";
import { writeBart } from "../helpers/bart-folder.ts";
import { adapterBytes } from "../helpers/run-results.ts";
import { commandTest, lossesIn } from "./command.ts";

const { run, start, path } = commandTest();
const [out, model, data] = [path("run"), path("bart"), path("summaries")];

/** Texts of the tiny tokenizer's words; the summary is what the text is about. */
const pairs = Array.from({ length: 12 }, (_, i) => {
  const about = ["the cat", "a cat", "eating"][i % 3];
  return [`in the ${"the cat ".repeat(1 + (i % 2))}${about} ${i}`, about];
});
const csvOf = (rows: readonly (readonly unknown[])[]) =>
  ["document,summary", ...rows.map((row) => row.join(",")), ""].join("\n");

beforeAll(() => {
  writeBart(model, { d_model: 16, encoder_ffn_dim: 24, decoder_ffn_dim: 24 });
  mkdirSync(data);
  writeFileSync(join(data, "train.csv"), csvOf(pairs));
  writeFileSync(join(data, "validation.csv"), csvOf(pairs.slice(0, 5)));
});

const device = ["--device", "reference"];
const words = (flags: string) => flags.trim().split(/\s+/);
const schedule = [
  ...words("--max-steps 24 --batch-size 6 --grad-accum 2 --lr 0.05 --eval-steps 8 --log-steps 1"),
  ...words("--max-length 24 --max-target-length 8 --dropout 0 --num-beams 2 --label-smoothing 0.1"),
  ...words("--eval-limit 3 --seed 5"),
  ...device,
];
/** For runs whose results are not compared. */
const brief = words(
  schedule.join(" ").replace("--max-steps 24", "--max-steps 6").replace("steps 8", "steps 6"),
);
const training = (...more: string[]) => [
  "xsum",
  ...words(`--model ${model} --data ${data} --init-rank 8 --target-rank 6 --mask-interval 1`),
  ...schedule,
  ...more,
];

const predict = (args: readonly string[], input?: string) =>
  run(["predict", "--adapter", out, ...device, ...args], {}, input);

describe("run xsum", () => {
  test("trains, writes summaries and scores them, the same at every run", async () => {
    const { code, stdout, stderr } = await run(["run", ...training("--out", out, "--json")]);
    expect([code, stderr.match(/warn.*|error.*|at random.*/g)]).toEqual([0, null]);
    expect(JSON.parse(stdout).metrics).toMatchInlineSnapshot(`
      {
        "validation": {
          "gen_len": 3.6666666666666665,
          "loss": 2.8406986254954423,
          "rouge1": 22.22222222222222,
          "rouge2": 0,
          "rougeL": 22.22222222222222,
          "rougeLsum": 22.22222222222222,
        },
      }
    `);
    const { intervals } = JSON.parse(readFileSync(join(out, "metrics.json"), "utf8"));
    expect(JSON.parse(stdout).intervals).toEqual(intervals);
    expect(intervals.validation.rouge1).toEqual({ low: 0, high: expect.closeTo(200 / 3, 9) });
    expect(readFileSync(join(out, "predictions.jsonl"), "utf8")).toMatchInlineSnapshot(`
      "{"index":0,"prediction":"the","reference":"the cat"}
      {"index":1,"prediction":"the","reference":"a cat"}
      {"index":2,"prediction":"","reference":"eating"}
      "
    `);
    expect(lossesIn(out).map((loss) => loss.toFixed(6))).toMatchInlineSnapshot(`
      [
        "6.151498",
        "6.151498",
        "6.074590",
        "5.620956",
        "5.142467",
        "4.573907",
        "4.457576",
        "4.245807",
        "4.073457",
        "4.079673",
        "3.873479",
        "3.864159",
        "3.809551",
        "3.708094",
        "3.667873",
        "3.563082",
        "3.460763",
        "3.431287",
        "3.427765",
        "3.353590",
        "3.334628",
        "3.314696",
        "3.290698",
        "3.276940",
      ]
    `);
    expect(readdirSync(join(out, "adapter")).toSorted()).toEqual([
      "README.md",
      "adalora.json",
      "adapter_config.json",
      "adapter_model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const config = JSON.parse(readFileSync(join(out, "adapter", "adapter_config.json"), "utf8"));
    expect([config.task_type, config.peft_type]).toEqual(["SEQ_2_SEQ_LM", "ADALORA"]);
  });

  test("continues after an interruption as if there had been none", async () => {
    const again = path("again");
    const interrupted = start(["run", ...training("--out", again)]);
    await interrupted.signalAfter("step  3/24", "SIGINT");
    expect((await interrupted.ended).code).toBe(130);
    expect((await run(["run", ...training("--out", again, "--resume")])).code).toBe(0);
    expect(lossesIn(again)).toEqual(lossesIn(out));
    expect(adapterBytes(again)).toEqual(adapterBytes(out));
    const finished = await run(["run", ...training("--out", again, "--resume", "--json")]);
    const { intervals } = JSON.parse(readFileSync(join(out, "metrics.json"), "utf8"));
    expect(JSON.parse(finished.stdout).intervals).toEqual(intervals);
  });

  test("is planned, and its needs are known", async () => {
    const { code, stdout } = await run(["plan", ...training("--json")]);
    const { needs, schedule: course, matrices } = JSON.parse(stdout);
    expect([code, course.steps, course.trainRows, matrices]).toEqual([0, 24, 12, 32]);
    expect(needs.training).toBeGreaterThan(needs.checkpoint);
  });
});

describe("predict", () => {
  test("writes about texts as arguments, on standard input, and in files, the same", async () => {
    const texts = pairs.slice(0, 3).map(([text]) => String(text));
    const expected = await predict(texts);
    expect([expected.code, expected.stderr, expected.stdout.trimEnd().split("\n").length]).toEqual([
      0,
      "",
      3,
    ]);
    const [first] = texts;
    const [line] = expected.stdout.split("\n");
    expect((await predict(["-"], `${first}\n`)).stdout).toBe(`${line}\n`);
    const columnData = [{ name: "article", data: texts, type: "STRING" as const }];
    const files = {
      "x.parquet": new Uint8Array(parquetWriteBuffer({ columnData })),
      "x.jsonl": texts.map((text) => JSON.stringify({ text })).join("\n"),
    };
    for (const [name, content] of Object.entries(files)) {
      writeFileSync(path(name), content);
      expect((await predict(["--input", path(name)])).stdout).toBe(expected.stdout);
    }
    const csv = csvOf(texts.map((text) => [text, "unread"]));
    expect((await predict(["--input", "-"], csv)).stdout).toBe(expected.stdout);
  });

  test("writes a table with the texts beside their summaries", async () => {
    const file = path("urls.csv");
    writeFileSync(file, 'url,text\nu1,"the\ncat"\n');
    const to = path("summaries.csv");
    const { code } = await predict(["--input", file, "--keep-columns", "text,url", "--out", to]);
    const [line] = (await predict(["--input", file])).stdout.split("\n");
    const { prediction } = JSON.parse(line ?? "");
    expect([code, readFileSync(to, "utf8")]).toEqual([
      0,
      `index,text,url,prediction\n0,"the\ncat",u1,${prediction}\n`,
    ]);
  });

  test("takes other beams and lengths, and refuses what the task has no use for", async () => {
    const shortest = await predict(["the cat", "--max-target-length", "3", "--num-beams", "1"]);
    const longest = await predict(["the cat", "--min-target-length", "8", "--num-beams", "1"]);
    const length = ({ stdout }: { stdout: string }) => JSON.parse(stdout).prediction.length;
    expect(length(longest)).toBeGreaterThan(length(shortest));
    const refused = await predict(["the cat", "--doc-stride", "3"]);
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining("--doc-stride does not apply to task xsum"),
    ]);
  });
});

describe("eval", () => {
  test("scores as the run did, with its lengths and beams", async () => {
    const evaluate = ["eval", "--adapter", out, ...device, "--json"];
    const { code, stdout } = await run([...evaluate, "--limit", "3"]);
    const { metrics, intervals } = JSON.parse(readFileSync(join(out, "metrics.json"), "utf8"));
    expect(JSON.parse(stdout).intervals).toEqual(intervals);
    expect([code, JSON.parse(stdout).rows]).toEqual([0, 3]);
    for (const [name, value] of Object.entries(metrics.validation)) {
      expect(JSON.parse(stdout).metrics.validation[name]).toBeCloseTo(Number(value), 6);
    }
  });

  test("needs summaries", async () => {
    writeFileSync(path("texts.csv"), "document\nthe cat\n");
    const { code, stderr } = await run(["eval", "--adapter", out, "--data", path("texts.csv")]);
    expect([code, stderr]).toEqual([1, expect.stringContaining("lacks a column for the summary")]);
  });
});

describe("data of one's own", () => {
  test("has any columns, and any method trains on it", async () => {
    const own = path("own.jsonl");
    const rows = pairs.map(([body, title]) => JSON.stringify({ body, title }));
    writeFileSync(own, rows.join("\n"));
    for (const [method, folder, rank] of [
      ["lora", "adapter", "--init-rank 4"],
      ["full", "model", ""],
    ] as const) {
      const names = words(
        `--data ${own} --eval-data ${own} --text-column body --label-column title`,
      );
      const task = words(`--task summarization --model ${model} --method ${method} ${rank}`);
      const ended = await run(["run", ...task, ...names, ...brief, "--out", path(method)]);
      expect([ended.code, ended.stderr.match(/error.*/g)]).toEqual([0, null]);
      const trained = path(method, folder);
      const from = method === "full" ? ["--model", trained] : ["--adapter", trained];
      const { stdout } = await run(["predict", ...from, ...device, "the cat"]);
      expect(Object.keys(JSON.parse(stdout))).toEqual(["index", "prediction"]);
    }
  });
});
