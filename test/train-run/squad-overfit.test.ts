import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { writeTinyModel } from "../cli/tiny-task.ts";
import { commandTest, cpu, predictionsIn, wordsOf } from "./command.ts";

const { run, path } = commandTest();
const fixture = resolve(import.meta.dir, "../fixtures/data/squad-16.json");

interface Question {
  readonly id: string;
  readonly question: string;
  readonly answers: readonly { readonly text: string }[];
}

interface Paragraph {
  readonly context: string;
  readonly qas: readonly Question[];
}

const paragraphs: readonly [Paragraph, ...Paragraph[]] = JSON.parse(readFileSync(fixture, "utf8"))
  .data[0].paragraphs;
const questions = paragraphs.flatMap(({ qas }) => qas);

const json = (file: string) => JSON.parse(readFileSync(file, "utf8"));

describe.skipIf(cpu.backend === undefined)("on the CPU", () => {
  test("AdaLoRA learns 16 questions of SQuAD by heart, eight of them without an answer", async () => {
    const model = path("base-32");
    writeTinyModel(model, {
      hidden_size: 32,
      num_attention_heads: 4,
      intermediate_size: 64,
      max_position_embeddings: 512,
      position_buckets: 32,
    });
    const to = path("by-heart");
    const flags = {
      model,
      data: fixture,
      "eval-data": fixture,
      "max-steps": 70,
      "eval-steps": 70,
      "batch-size": 8,
      "mask-interval": 5,
      "warmup-steps": 10,
      "init-rank": 6,
      "target-rank": 4,
      alpha: 32,
      lr: 0.03,
      seed: 1,
      dropout: 0,
      device: "cpu",
      threads: 1,
      out: to,
    };
    const { code, stdout } = await run(["run", "squad_v2", ...wordsOf(flags), "--json"]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout).metrics.validation).toMatchObject({
      exact: 100,
      HasAns_exact: 100,
      HasAns_total: 8,
      NoAns_exact: 100,
      NoAns_total: 8,
    });
    const ranks: number[] = Object.values(JSON.parse(stdout).ranks);
    expect(ranks.reduce((sum, rank) => sum + rank)).toBe(48);
    const predicted = json(join(to, "predictions.json"));
    const odds = json(join(to, "null_odds.json"));
    for (const { id, answers } of questions) {
      const expected = answers.map(({ text }) => text);
      expect(expected.length === 0 ? [""] : expected).toContain(predicted[id].trim());
      expect(odds[id] > 0).toBe(expected.length === 0);
    }
    const [{ context, qas }] = paragraphs;
    const words = qas.map(({ question }) => question);
    const on = ["--adapter", to, "--threads", "1"];
    const typed = await run(["predict", ...on, "--context", context, ...words]);
    expect(predictionsIn(typed.stdout).map(({ prediction }) => prediction)).toEqual(
      qas.map(({ id }) => predicted[id]),
    );
  });
});
