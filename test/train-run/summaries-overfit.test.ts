import { describe, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { bf16Refusal } from "../../ffi/cpu/isa.ts";
import { writeBart } from "../helpers/bart-folder.ts";
import { commandTest, cpu } from "./command.ts";

const { run, path } = commandTest();
const fables = resolve(import.meta.dir, "../fixtures/summaries/fables.csv");

/** 90 steps of AdaLoRA over all 16 fables at once; the model itself is noise and stays as it is. */
const flags = `--max-steps 90 --batch-size 16 --lr 0.02 --warmup-steps 10 --eval-steps 90
  --init-rank 24 --target-rank 16 --alpha 48 --max-length 160 --max-target-length 64 --threads 1`;

describe.skipIf(cpu.backend === undefined)("on the CPU", () => {
  const refusal = bf16Refusal();
  test.each(refusal === undefined ? ["f32", "bf16"] : ["f32"])(
    "a random BART learns 16 fables' summaries by heart through its adapters, in %s",
    async (dtype) => {
      const [model, data, out] = [
        path(`${dtype}-bart`),
        path(`${dtype}-data`),
        path(`${dtype}-run`),
      ];
      const size = { d_model: 64, encoder_layers: 1, decoder_layers: 1, init_std: 0.3 };
      const wide = { encoder_ffn_dim: 128, decoder_ffn_dim: 128, encoder_attention_heads: 4 };
      writeBart(model, { ...size, ...wide, max_position_embeddings: 160 });
      mkdirSync(data);
      for (const split of ["train", "validation"]) copyFileSync(fables, join(data, `${split}.csv`));
      const files = ["--model", model, "--data", data, "--out", out, "--dtype", dtype];
      const task = ["run", "--task", "summarization", "--device", "cpu", "--json"];
      const { code, stdout } = await run([...task, ...files, ...flags.split(/\s+/)]);
      expect(code).toBe(0);
      const { rouge1, rouge2 } = JSON.parse(stdout).metrics.validation;
      expect(rouge1).toBeGreaterThan(95);
      expect(rouge2).toBeGreaterThan(90);
      const [first] = readFileSync(join(out, "predictions.jsonl"), "utf8").split("\n");
      expect(JSON.parse(first ?? "")).toEqual({
        index: 0,
        prediction: "A tortoise beat a hare that slept in the race.",
        reference: "A tortoise beat a hare that slept in the race.",
      });
      // The ranks were cut from 24 to 16, and what was learnt lies in the adapter alone.
      const ranks: Record<string, number> = JSON.parse(
        readFileSync(join(out, "rank_pattern.json"), "utf8"),
      );
      expect(Object.values(ranks).reduce((sum, rank) => sum + rank, 0)).toBe(16 * 16);
      const text = readFileSync(fables, "utf8").trimEnd().split("\n").at(-1)?.split('"')[1] ?? "";
      const predict = async (...from: string[]) => {
        const said = await run(["predict", "--device", "cpu", "--dtype", dtype, ...from, text]);
        return JSON.parse(said.stdout).prediction;
      };
      const expected = "A frog burst when it tried to equal an ox.";
      expect(await predict("--adapter", out)).toBe(expected);
      const lengths = ["--max-length", "160", "--max-target-length", "64"];
      const base = await predict("--model", model, "--task", "summarization", ...lengths);
      expect(base).not.toContain("frog");
    },
  );
  if (refusal !== undefined) test.skip(`the same in bf16 (${refusal})`, () => {});
});
