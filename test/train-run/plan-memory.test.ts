import { afterAll, expect, test } from "bun:test";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { bf16Refusal } from "../../ffi/cpu/isa.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { tinyTask, writeTinyModel } from "../cli/tiny-task.ts";
import { adaloraProcess } from "../helpers/adalora-process.ts";
import { available } from "../helpers/available.ts";
import { runHere } from "../helpers/run-here.ts";

const { folder } = tinyTask();
afterAll(() => rmSync(folder, { recursive: true }));

const { reason } = await available(() => createCpuBackend({ threads: 1 }));
const words = ["cat", "moon", "the", "a", "looked", "saw", "at"];
const sentence = (row: number, length: number) =>
  Array.from({ length }, (_, i) => words[(row * 3 + i * i) % words.length]).join(" ");

const model = join(folder, "wide");
const sizes = { hidden_size: 256, intermediate_size: 768, num_hidden_layers: 3 };
writeTinyModel(model, { ...sizes, num_attention_heads: 4, max_position_embeddings: 256 });
const [data, evaluated] = [256, 16].map((length) => {
  const path = join(folder, `${length}-rows.csv`);
  const rows = Array.from({ length }, (_, i) => `${sentence(i, 20 + (i % 40))},${i % 2}`);
  writeFileSync(path, ["text,label", ...rows, ""].join("\n"));
  return path;
});

/** Trains in a process of its own; returns its peak. */
async function train(flags: readonly string[]) {
  const { err, code, ...rest } = await adaloraProcess(["run", ...flags], join(folder, "peak"));
  expect({ err, code }).toMatchObject({ code: 0 });
  return rest;
}

test.skipIf(reason !== undefined).each([
  ["f32", 96],
  ["f32", 32],
  ["bf16", 96],
])(
  "the memory that plan says is what a run in %s with batches of %d takes",
  async (dtype, size) => {
    if (dtype === "bf16" && bf16Refusal() !== undefined) return;
    const flags = [
      `--task classification --data ${data} --eval-data ${evaluated} --model ${model}`,
      `--text-column text --label-column label --max-steps 4 --batch-size ${size}`,
      `--eval-batch-size 32 --dtype ${dtype} --threads 1 --json`,
    ].flatMap((line) => line.split(" "));
    const planned = await runHere(["plan", ...flags], { program: "adalora", cwd: folder, env: {} });
    expect(planned).toMatchObject({ code: 0 });
    const predicted = Number(JSON.parse(planned.stdout).needs.memory);
    const { peak } = await train([...flags, "--out", join(folder, `${dtype}-${size}`)]);
    expect(predicted / peak).toBeWithin(0.85, 1.15);
  },
);
