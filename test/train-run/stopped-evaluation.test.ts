import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeBart } from "../helpers/bart-folder.ts";
import { tinyRows } from "../cli/tiny-task.ts";
import { adapterBytes } from "../helpers/run-results.ts";
import { commandTest } from "./command.ts";

const { start, run, training, path, task } = commandTest();

/** A validation split whose evaluation takes a second, in small batches. */
const data = path("long");
/** 16 steps, evaluated after step 8 and at the end, each time after a checkpoint. */
const flags = { data, "max-steps": 16, "save-steps": 8, "eval-steps": 8, "eval-batch-size": 4 };
const whole = path("whole");

beforeAll(async () => {
  mkdirSync(data);
  cpSync(join(task.data, "train.tsv"), join(data, "train.tsv"));
  writeFileSync(join(data, "dev.tsv"), tinyRows(200));
  expect((await run(training({ ...flags, out: whole }))).code).toBe(0);
});

/** All that a run computed, but for its times. */
function resultsOf(out: string, ranks = true): unknown {
  const text = (name: string) => readFileSync(join(out, name), "utf8");
  const { metrics, best, steps } = JSON.parse(text("metrics.json"));
  return {
    adapter: adapterBytes(out).toString("hex"),
    ranks: ranks ? text("rank_pattern.json") : "",
    predictions: text("predictions.jsonl"),
    result: { metrics, best, steps },
    log: text("log.jsonl").replaceAll(/"tokens_per_second":\d+/g, ""),
  };
}

describe("an evaluation", () => {
  for (const [signal, code] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGKILL", undefined],
  ] as const)
    test(`that gets ${signal}, and the last one of the resumed run too, is where --resume continues`, async () => {
      const out = path(signal);
      const resume = ["run", "--resume", "--out", out];
      for (const step of [8, 16]) {
        const started = start(step === 8 ? training({ ...flags, out }) : resume);
        await started.signalAfter(`checkpoint after step ${step}\n`, signal);
        const ended = await started.ended;
        if (code !== undefined) {
          expect(ended.code).toBe(code);
          expect(ended.stderr).toContain(`error  interrupted after step ${step}\n`);
        }
        if (step === 16) expect(ended.stderr).toContain("resuming after step 8\n");
        expect(existsSync(join(out, "metrics.json"))).toBe(false);
      }
      const resumed = await run(resume);
      expect(resumed.code).toBe(0);
      expect(resumed.stderr).toContain("resuming after step 16\n");
      expect(resultsOf(out)).toEqual(resultsOf(whole));
    });
});

test("an evaluation by beam search stops between its steps", async () => {
  const [model, texts] = [path("bart"), path("texts")];
  writeBart(model, { d_model: 16, encoder_ffn_dim: 24, decoder_ffn_dim: 24 });
  mkdirSync(texts);
  const rows = (count: number) => [
    "document,summary",
    ...Array.from({ length: count }, (_, i) => `in the cat ${i},a cat`),
    "",
  ];
  writeFileSync(join(texts, "train.csv"), rows(6).join("\n"));
  writeFileSync(join(texts, "validation.csv"), rows(150).join("\n"));
  const out = path("beams");
  const words =
    `run xsum --model ${model} --data ${texts} --out ${out} --max-steps 2 --eval-steps 10 --batch-size 6 ` +
    "--init-rank 2 --target-rank 1 --mask-interval 1 --init-warmup 0 --final-warmup 0 " +
    "--max-length 24 --max-target-length 20 --min-target-length 20 --num-beams 8 --device reference";
  const started = start(words.split(" "));
  await started.signalAfter("checkpoint after step 2\n", "SIGINT"); // the first evaluation
  const { code, stderr } = await started.ended;
  expect([code, stderr]).toEqual([130, expect.stringContaining("interrupted after step 2\n")]);
});
