import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { commandTest } from "./command.ts";

const { run, runProcess, training, path, task } = commandTest();

describe("a run that can't be done", () => {
  test("for its numbers stops at the step, with its rows and the last good checkpoint", async () => {
    const out = path("nan");
    const { code, stderr } = await run(training({ lr: 1e300, out, "save-steps": 1 }));
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /error {2}step \d+: the loss must be finite: got loss \S+, gradient norm \S+ \(training rows \d+(, \d+)*\)\n {2}hint: lower --lr, or inspect these rows; --resume continues from the last checkpoint in .*nan\/checkpoints\n$/,
    );
    expect(existsSync(join(out, "metrics.json"))).toBe(false);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test("for a checkpoint that is not the config's is refused before anything is written", async () => {
    const model = path("other-config");
    cpSync(task.model, model, { recursive: true });
    const config = JSON.parse(readFileSync(join(model, "config.json"), "utf8"));
    writeFileSync(join(model, "config.json"), JSON.stringify({ ...config, num_hidden_layers: 3 }));
    const out = path("no-weights");
    const { code, stderr } = await run(training({ model, out }));
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("weights are missing: deberta.encoder.layer.2."),
    ]);
    expect(existsSync(out)).toBe(false);
    rmSync(join(model, "model.safetensors"));
    const none = await run(training({ model, out }));
    expect(none.stderr).toContain("other-config: holds no weights: looked for model.safetensors,");
  });

  test.each([
    [
      "99M",
      /^error {2}--budget 99M is rank \S+ in each of 12 matrices: the largest that they can have/,
    ],
    [
      "0.32",
      /^error {2}--budget 0\.32 is less than one triplet .*\n {2}hint: did you mean 0\.32M\? /,
    ],
  ])("for a budget that the matrices cannot have: %s", async (budget, message) => {
    const place = ["--model", task.model, "--data", task.data, "--out", path("budget")];
    const { code, stderr } = await run(["run", "rte", ...place, "--budget", budget]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
    expect(existsSync(path("budget"))).toBe(false);
  });

  test.each([
    ["below a file", "file/run", "lies below a file, "],
    ["a file", "file", "is a file, not a folder\n"],
  ])("for its folder: %s", async (_, name, message) => {
    writeFileSync(path("file"), "");
    const { code, stderr } = await run(training({ out: path(name) }));
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  });

  test.skipIf(process.getuid?.() === 0)("for a folder that may not be written to", async () => {
    const closed = path("closed");
    mkdirSync(closed);
    chmodSync(closed, 0o500);
    const { code, stderr } = await run(training({ out: join(closed, "run") }));
    expect([code, stderr]).toEqual([1, expect.stringContaining("closed: permission denied\n")]);
  });

  test("for a length that not even the special tokens fit into", async () => {
    const { code, stderr } = await run(training({ "max-length": 3, out: path("short") }));
    expect([code, stderr]).toEqual([
      1,
      "error  --max-length must be above 3, the special tokens around a pair of texts, got 3\n",
    ]);
  });

  test("for a metric that the task has not", async () => {
    const { stderr } = await run(training({ metric: "f1", out: path("metric") }));
    expect(stderr).toBe('error  --metric must be one of accuracy, loss, got "f1"\n');
  });

  test("for class names that the task has already", async () => {
    const { stderr } = await run(training({ labels: "a,b", out: path("labels") }));
    expect(stderr).toStartWith("error  --labels does not apply to task rte\n");
  });
});

test("plan tells all of it at once, the data's faults first, and writes nothing", async () => {
  const data = path("bad-data");
  mkdirSync(data);
  writeFileSync(join(data, "train.tsv"), "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tmaybe\n");
  writeFileSync(join(data, "dev.tsv"), "index\tsentence1\tsentence2\tlabel\n0\ta\tb\n");
  const [command, ...words] = training({ data, model: "./none", metric: "x", out: task.data });
  const { code, stderr, stdout } = await runProcess(["plan", ...words, "--json"]);
  expect([command, code]).toEqual(["run", 1]);
  const heads = stderr.split("\n").filter((line) => line.startsWith("error  "));
  expect(heads.map((line) => line.replaceAll(`${data}/`, ""))).toEqual([
    'error  train.tsv:2: "label" must be one of "entailment", "not_entailment" (or 0..1), got "maybe"',
    "error  dev.tsv:2: row has 3 fields, the header has 4",
    'error  --metric must be one of accuracy, loss, got "x"',
    "error  ./none: no such folder",
  ]);
  const { error, errors } = JSON.parse(stdout);
  expect(errors).toHaveLength(4);
  expect(error).toEqual(errors[0]);
});
