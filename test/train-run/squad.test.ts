import { beforeAll, describe, expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeTinyModel } from "../cli/tiny-task.ts";
import { adapterBytes } from "../helpers/run-results.ts";
import { commandTest, cpu, lossesIn, wordsOf } from "./command.ts";

const { run, start, path } = commandTest();
const json = (file: string) => JSON.parse(readFileSync(file, "utf8"));
const linesOf = (text: string) =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

/** Contexts of two windows, on the reference backend: every number is exact. */
const exact = {
  model: path("exact-base"),
  data: path("stories.json"),
  "eval-data": path("stories.json"),
  "max-length": 24,
  "doc-stride": 4,
  "max-steps": 30,
  "eval-steps": 10,
  "log-steps": 1,
  "batch-size": 7,
  "init-warmup": "20%",
  "final-warmup": "30%",
  "mask-interval": 1,
  "warmup-steps": 2,
  "init-rank": 3,
  "target-rank": 1,
  lr: 0.05,
  seed: 5,
  dropout: 0,
  "span-padding": "zero",
  device: "reference",
};
const story = (context: string, id: string, question: string, answer?: string) => ({
  context,
  qas: [
    {
      id,
      question,
      is_impossible: answer === undefined,
      answers:
        answer === undefined ? [] : [{ text: answer, answer_start: context.indexOf(answer) }],
    },
  ],
});
const river = "The dog walked to the river, and the cat looked at the boat.";
const squadFile = (paragraphs: readonly object[]) => JSON.stringify({ data: [{ paragraphs }] });
writeFileSync(
  path("stories.json"),
  squadFile([
    story(river, "first", "Who walked?", "The dog"),
    story(river, "late", "What did it see?", "the boat"),
    story(river, "none", "Who slept?"),
    story("A cat sat.", "short", "Who sat?", "A cat"),
    story("A moon was bright.", "moon", "Who was cold?"),
  ]),
);
writeTinyModel(path("exact-base"));
const training = (out: string, flags: Readonly<Record<string, string | number>> = {}) => [
  "run",
  "squad_v2",
  ...wordsOf({ ...exact, ...flags, out }),
];

const out = path("exact");
const device = ["--device", "reference"];

beforeAll(async () => {
  const { code, stderr } = await run(training(out));
  expect([code, stderr.match(/warn.*/g)]).toEqual([0, null]);
});

const predict = (args: readonly string[], input?: string) =>
  run(["predict", "--adapter", out, ...device, ...args], {}, input);
const evaluate = (...args: string[]) => run(["eval", "--adapter", out, ...device, ...args]);

describe("a run on windows of contexts", () => {
  test("has these losses, metrics and answers", () => {
    const losses = lossesIn(out);
    expect([losses.length, ...losses.slice(0, 5), ...losses.slice(-1)]).toEqual(
      [30, 3.126234321, 3.232145015, 2.993687953, 2.668899982, 2.277954121, 0.070090292].map(
        (value) => expect.closeTo(value, 6),
      ),
    );
    expect(json(join(out, "metrics.json")).metrics.validation).toEqual({
      exact: 80,
      f1: 80,
      total: 5,
      HasAns_exact: 200 / 3,
      HasAns_f1: 200 / 3,
      HasAns_total: 3,
      NoAns_exact: 100,
      NoAns_f1: 100,
      NoAns_total: 2,
      best_exact: 80,
      best_exact_thresh: expect.closeTo(-2.4106646, 4),
      best_f1: 80,
      best_f1_thresh: expect.closeTo(-2.4106646, 4),
    });
    // "The" is no part of an answer to the official script: that question counts as wrong
    expect(json(join(out, "predictions.json"))).toEqual({
      first: "The",
      late: "the boat",
      none: "",
      short: "A cat",
      moon: "",
    });
    expect(json(join(out, "null_odds.json"))).toEqual({
      first: expect.closeTo(-0.2913104, 4),
      late: expect.closeTo(-4.7466979, 4),
      none: expect.closeTo(7.8030734, 4),
      short: expect.closeTo(-2.4106646, 4),
      moon: expect.closeTo(14.9458914, 4),
    });
  });

  test("leaves the files that the official scripts read, and settings of its task alone", () => {
    expect(readdirSync(out).toSorted()).toEqual([
      "adapter",
      "best_adapter",
      "config.json",
      "log.jsonl",
      "metrics.json",
      "nbest_predictions.json",
      "null_odds.json",
      "predictions.json",
      "predictions.jsonl",
      "rank_pattern.json",
      "report.html",
      "tensorboard",
    ]);
    const config = json(join(out, "config.json"));
    expect(config).toMatchObject({
      docStride: 4,
      spanPadding: "zero",
      nBest: 20,
      nullThreshold: 0,
    });
    for (const name of ["clsDropout", "numBeams", "maxTargetLength", "labels"])
      expect(config).not.toHaveProperty(name);
    const adapter = json(join(out, "adapter", "adapter_config.json"));
    expect([adapter.task_type, adapter.modules_to_save]).toEqual(["QUESTION_ANS", ["qa_outputs"]]);
    const [first, ...rest] = linesOf(readFileSync(join(out, "predictions.jsonl"), "utf8"));
    expect([rest.length, first]).toEqual([
      4,
      {
        id: "first",
        prediction: "The",
        score: expect.any(Number),
        null_odds: json(join(out, "null_odds.json")).first,
        best_answer: "The",
        probability: expect.any(Number),
      },
    ]);
    const [best, ...others] = json(join(out, "nbest_predictions.json")).late;
    expect([best.text, others.length]).toEqual(["the boat", 19]);
  });

  test("that is interrupted continues with the same bits", async () => {
    const again = path("resumed");
    const first = start(training(again));
    await first.signalAfter("step 12/30", "SIGINT");
    expect((await first.ended).code).toBe(130);
    const { code, stderr } = await run(["run", "--resume", "--out", again]);
    expect([code, /resuming after step (\d+)/.test(stderr)]).toEqual([0, true]);
    expect(adapterBytes(again)).toEqual(adapterBytes(out));
    const answers = (folder: string) =>
      readFileSync(join(folder, "nbest_predictions.json"), "utf8");
    expect(answers(again)).toBe(answers(out));
  });

  test("whose only file is trained on says that nothing is evaluated", async () => {
    const { "eval-data": _, ...flags } = exact;
    const only = path("only");
    const args = wordsOf({ ...flags, "max-steps": 10, out: only });
    const { code, stdout, stderr } = await run(["run", "squad_v2", ...args, "--json"]);
    expect([code, JSON.parse(stdout).metrics]).toEqual([0, {}]);
    expect(stderr).toContain(
      "warn  no validation split (see --eval-data and --eval-fraction): nothing will be evaluated\n",
    );
    expect(readdirSync(only)).not.toContain("predictions.jsonl");
  });

  test("reads no more questions than --limit", async () => {
    const { stdout, stderr } = await run([
      ...training(path("limited"), { limit: 4, "eval-limit": 3, "max-steps": 10 }),
      "--json",
    ]);
    const { metrics, best } = JSON.parse(stdout);
    expect([metrics.validation.total, best.step > 0]).toEqual([3, true]);
    // Counts and thresholds stay in the files.
    expect(stderr).toMatch(
      /^step 10 {2}validation {2}exact \S+ {2}f1 \S+ {2}HasAns_f1 \S+ {2}NoAns_f1 \S+(\n +| {2})best_exact \S+ {2}best_f1 \S+( {2}best so far)?$/m,
    );
    const planned = await run(["plan", ...training(path("planned"), { limit: 4 }).slice(1)]);
    expect(planned.stdout).toContain("4 training rows in 20 windows, 3 steps per epoch\n");
  });
});

describe("squad, where every question has an answer", () => {
  const answered = path("answered.json");
  const stories = [
    story(river, "late", "What did it see?", "the boat"),
    story("A cat sat.", "short", "Who sat?", "A cat"),
  ];
  writeFileSync(answered, squadFile(stories));
  const args = (to: string, ...more: string[]) => [
    "run",
    "squad",
    ...wordsOf({ ...exact, data: answered, "eval-data": answered, "max-steps": 10, out: to }),
    ...more,
  ];

  test("has the metrics and files of version 1.1", async () => {
    const to = path("version-1");
    const { code, stdout } = await run(args(to, "--json"));
    expect([code, Object.keys(JSON.parse(stdout).metrics.validation)]).toEqual([
      0,
      ["exact_match", "f1"],
    ]);
    expect(readdirSync(to)).not.toContain("null_odds.json");
    for (const line of linesOf(readFileSync(join(to, "predictions.jsonl"), "utf8")))
      expect(Object.keys(line)).toEqual(["id", "prediction", "score", "probability"]);
    expect(json(join(to, "config.json"))).not.toHaveProperty("nullThreshold");
  });

  test("has no use for a threshold of no answer", async () => {
    const { code, stderr } = await run(args(path("none"), "--null-threshold", "1"));
    expect([code, stderr]).toEqual([
      1,
      "error  --null-threshold does not apply to task squad\n  hint: tasks that use it: squad_v2\n",
    ]);
  });
});

describe("every method", () => {
  test.each(["lora", "svd-lora", "prune-lora", "bitfit", "head", "full"])(
    "%s: what is saved says what the run said",
    async (method) => {
      const to = path(method);
      const { "init-warmup": _, "final-warmup": _f, "mask-interval": _m, ...rest } = exact;
      const { "init-rank": _i, "target-rank": _t, ...flags } = rest;
      const words = wordsOf({ ...flags, method, "max-steps": 6, lr: 0.01, out: to });
      const { code, stderr } = await run(["run", "squad_v2", ...words]);
      expect([code, code === 0 ? "" : stderr]).toEqual([0, ""]);
      const where = method.includes("lora") ? "--adapter" : "--model";
      const { stdout } = await run(["eval", where, to, ...device, "--json"]);
      const expected: [string, number][] = Object.entries(
        json(join(to, "metrics.json")).metrics.validation,
      );
      expect(JSON.parse(stdout).metrics.validation).toEqual(
        Object.fromEntries(expected.map(([name, value]) => [name, expect.closeTo(value, 4)])),
      );
    },
  );
});

describe("eval", () => {
  test("of the training split makes no windows that only training reads", async () => {
    const cache = path("eval-cache");
    const args = ["eval", "--adapter", out, ...device, "--split", "train", "--json"];
    const { code, stdout } = await run(args, { XDG_CACHE_HOME: cache });
    expect([code, JSON.parse(stdout).metrics.train.total]).toEqual([0, 5]);
    expect(readdirSync(join(cache, "adalora", "tokens"))).toHaveLength(1);
  });

  test("of the run's own data, and of a file, is what the run found", async () => {
    const own = json(join(out, "metrics.json")).metrics.validation;
    const close = Object.fromEntries(
      Object.entries(own).map(([name, value]) => [name, expect.closeTo(Number(value), 4)]),
    );
    const { stdout } = await evaluate("--json");
    expect(JSON.parse(stdout).metrics.validation).toEqual(close);
    const to = path("evaluated");
    const table = await evaluate("--data", path("stories.json"), "--out", to);
    expect(table.stdout).toContain(
      "validation HasAns_f1              66.6667\nvalidation HasAns_total           3\n",
    );
    expect(json(join(to, "predictions.json"))).toEqual(json(join(out, "predictions.json")));
  });

  test("moves the threshold and the lengths of answers", async () => {
    const metrics = async (...flags: string[]) =>
      JSON.parse((await evaluate(...flags, "--json")).stdout).metrics.validation;
    expect(await metrics("--null-threshold", "-100")).toMatchObject({
      HasAns_exact: 0,
      NoAns_exact: 100,
    });
    const short = await metrics("--max-answer-length", "1", "--limit", "2");
    expect([short.total, short.HasAns_exact]).toEqual([2, 0]);
  });
});

describe("predict", () => {
  const answers = () => json(join(out, "predictions.json"));

  test("of questions on a context: as text, as a file, on standard input", async () => {
    const words = ["Who walked?", "Who slept?"];
    const typed = await predict(["--context", river, ...words]);
    expect([typed.code, typed.stderr]).toEqual([0, ""]);
    expect(
      linesOf(typed.stdout).map(({ id, prediction }: Record<string, string>) => [id, prediction]),
    ).toEqual([
      ["0", answers().first],
      ["1", answers().none],
    ]);
    writeFileSync(path("river.txt"), `${river}\n`);
    expect((await predict([...words, "--context", path("river.txt")])).stdout).toBe(typed.stdout);
    expect((await predict([...words, "--context", "-"], `${river}\n`)).stdout).toBe(typed.stdout);
    const question = await predict(["--context", river, "-", "Who slept?"], "Who walked?\n");
    expect(question.stdout).toBe(typed.stdout);
  });

  test("of rows in every format, and into a folder", async () => {
    const rows = [
      { question: "Who walked?", context: river },
      { question: "Who slept?", context: river },
    ];
    const lines = rows.map((row) => JSON.stringify(row)).join("\n");
    const csv = `id,question,context\na,Who walked?,"${river}"\nb,Who slept?,"${river}"\n`;
    writeFileSync(path("rows.csv"), csv);
    const ofCsv = linesOf((await predict(["--input", path("rows.csv")])).stdout);
    const ofLines = linesOf((await predict(["--input", "-"], lines)).stdout);
    const plain = (all: readonly object[]) => all.map((one) => ({ ...one, id: "" }));
    expect(plain(ofLines)).toEqual(plain(ofCsv));
    expect(ofCsv.map(({ id }: { id: string }) => id)).toEqual(["a", "b"]);
    const to = path("predicted");
    const { stdout } = await predict(["--input", path("stories.json"), "--out", to, "--json"]);
    const names = [
      "predictions.jsonl",
      "predictions.json",
      "nbest_predictions.json",
      "null_odds.json",
    ];
    expect(JSON.parse(stdout)).toEqual({
      task: "squad_v2",
      rows: 5,
      which: "last",
      files: names.map((name) => join(to, name)),
    });
    expect(json(join(to, "predictions.json"))).toEqual(answers());
  });

  test("into a table: each answer, how probable it is, and the question", async () => {
    const to = path("answers.csv");
    const input = ["--input", path("stories.json"), "--keep-columns", "question"];
    expect((await predict([...input, "--out", to])).code).toBe(0);
    const [header, ...rows] = readFileSync(to, "utf8").trimEnd().split("\n");
    expect(header).toBe("id,question,prediction,score,null_odds,best_answer,probability");
    const fields = rows.map((row) => row.split(","));
    expect(Object.fromEntries(fields.map(([id, , answer]) => [id, answer]))).toEqual(answers());
    const { stdout } = await predict([...input, "--json"]);
    const { predictions } = JSON.parse(stdout);
    const candidates = json(join(out, "nbest_predictions.json"));
    for (const { id, prediction, score } of predictions) {
      const same = candidates[id].find(({ text }: { text: string }) => text === prediction);
      expect(score).toBeCloseTo(same.probability, 6);
    }
  });

  test.each([
    ["no context", ["Who?"], "no context given\n  hint: --context FILE"],
    ["no question", ["--context", river], "no question given"],
    ["a context that is no file", ["--context", "none.txt", "Who?"], "none.txt: there is no such"],
    ["two inputs", ["Who?", "--context", river, "--input", "x.csv"], "exclude each other"],
    ["two texts on one input", ["-", "--context", "-"], "exclude each other"],
    ["a part of no data", ["--input", "x.csv", "--split", "train"], "--split does not apply to"],
    ["no test set", [], "stories.json: holds no test split\n  hint: it has: train, validation"],
    [
      "another task's option",
      ["--num_beams", "4", "--input", "x.csv"],
      "--num_beams does not apply to task squad_v2\n  hint: tasks that use it: xsum, cnn_dailymail",
    ],
    [
      "classes",
      ["--labels", "a,b", "--input", "x.csv"],
      "--labels does not apply to task squad_v2",
    ],
  ])("%s is an error", async (_, args, message) => {
    const { code, stdout, stderr } = await predict(args);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toContain(message);
  });
});

describe.skipIf(cpu.backend === undefined)("on the CPU", () => {
  test("a deep model that was never pretrained has finite gradients, padding or not", async () => {
    const model = path("base-deep");
    writeTinyModel(model, { num_hidden_layers: 12 });
    const { "span-padding": _, ...rest } = exact;
    const flags = { ...rest, model, device: "cpu", threads: 1, "max-steps": 4, out: path("deep") };
    const { code, stderr } = await run(["run", "squad_v2", ...wordsOf(flags)]);
    expect([code, stderr.match(/^warn .*biases are all zero.*$/m) !== null]).toEqual([0, true]);
    expect(lossesIn(path("deep")).every(Number.isFinite)).toBe(true);
  });
});
