import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fakeHub, large, text } from "../core/io/fake-hub.ts";
import { commandTest } from "./command.ts";

const { run, path, task, home } = commandTest();
const snapshots = join(home, "cache", "huggingface", "hub");

/** Two questions as the hub keeps them, the second without an answer. */
const parquet = large(readFileSync(join(import.meta.dir, "../fixtures/data/squad-hub.parquet")));
const repository = (name: string, folder: string) =>
  fakeHub("datasets", `rajpurkar/${name}`, {
    "README.md": text("SQuAD"),
    [`${folder}/train-00000-of-00001.parquet`]: parquet,
    [`${folder}/validation-00000-of-00001.parquet`]: parquet,
  });
const squad = repository("squad", "plain_text");
const squadV2 = repository("squad_v2", "squad_v2");

const lengths = "--max-length 32 --doc-stride 4 --max-steps 6 --mask-interval 1";
const flags = ["--model", task.model, "--device", "reference", ...lengths.split(" ")];
const online = (endpoint: string) => ({ HF_HUB_OFFLINE: "0", HF_ENDPOINT: endpoint });

test("squad_v2 without --data is the hub's, and needs no hub once it is in the cache", async () => {
  const planned = await run(["plan", "squad_v2", ...flags], online(squadV2.url));
  expect([planned.code, planned.stderr]).toEqual([0, ""]);
  expect(planned.stdout).toContain("data        2 training rows, 1 step per epoch\n");
  const out = path("run");
  const { code, stdout } = await run(["run", "squad_v2", ...flags, "--out", out, "--json"]);
  expect([code, JSON.parse(stdout).metrics.validation]).toMatchObject([
    0,
    { total: 2, HasAns_total: 1, NoAns_total: 1 },
  ]);
  const evaluated = ["eval", "--adapter", out, "--device", "reference", "--split", "train"];
  const { metrics } = JSON.parse((await run([...evaluated, "--json"])).stdout);
  expect(metrics.train.total).toBe(2);
});

test("squad is another data set, all of whose questions have an answer", async () => {
  const { code, stderr } = await run(["plan", "squad", ...flags], online(squad.url));
  expect([code, stderr.replaceAll(/\S+snapshots\/\w+\//g, "")]).toEqual([
    1,
    expect.stringContaining(
      'error  plain_text/train-00000-of-00001.parquet: row 2: question "b" has no answer, and this task has no unanswerable questions\n',
    ),
  ]);
  expect(stderr).toContain(join(snapshots, "datasets--rajpurkar--squad", "snapshots"));
});

test("the task of a data set on the hub is inferred from its columns", async () => {
  const args = ["plan", "--data", "rajpurkar/squad_v2", ...flags.slice(0, 4), "--json"];
  const { code, stdout, stderr } = await run(args, online(squadV2.url));
  expect([code, stderr]).toEqual([0, expect.stringMatching(/^task squad_v2, from the columns /)]);
  expect(JSON.parse(stdout).config).toMatchObject({ task: "squad_v2", lr: 5e-4, epochs: 3 });
});
