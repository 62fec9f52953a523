/**
 * bun scripts/make-demo.ts OUT [SHARE]
 * Pretrains a model like the demo's from scratch, with `run --method full`: first on questions of
 * all kinds, then on as many about whether something happened. OUT/model.safetensors has the format
 * of demo/model's, but not its values: those come from the same two stages with an earlier wording
 * of the questions. Takes about two minutes on two free cores; SHARE, such as 0.01, runs that share
 * of the steps as a trial.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../core/backend/reference.ts";
import { toFloat32 } from "../core/io/float-conversion.ts";
import { openSafetensors, writeSafetensors } from "../core/io/safetensors.ts";
import { float32Tensor, type StoredTensor } from "../core/io/stored-tensor.ts";
import { initializeWeights } from "../core/model/load-weights.ts";
import { declareModel } from "../core/model/open-model.ts";
import { demoModelConfig } from "../demo/model-config.ts";
import { answers, drawQuestion } from "../demo/questions.ts";
import { drawSplits, toTsv } from "../demo/splits.ts";
import { demoTokenizerJson } from "../demo/tokenizer.ts";
import { deberta } from "../plugins/deberta/index.ts";

const [out, share = "1"] = process.argv.slice(2);
if (out === undefined) throw new Error("usage: bun scripts/make-demo.ts OUT [SHARE]");

const sizes = { train: 250_000, validation: 1000 };
writeQuestions("questions", 30, 1);
writeQuestions("checks", 50, 2);
writeStart("start");
pretrain({ from: "start", data: "questions", to: "first", steps: 5000 });
pretrain({ from: "first/model", data: "checks", to: "second", steps: 9000 });
writeHalf("second/model");

/** `checks`: percentage of questions about whether something happened. */
function writeQuestions(folder: string, checks: number, seed: number): void {
  mkdirSync(join(out!, folder), { recursive: true });
  const splits = drawSplits((draw) => drawQuestion(draw, checks), { seed, sizes });
  for (const [name, rows] of Object.entries(splits)) {
    writeFileSync(join(out!, folder, `${name}.tsv`), toTsv(rows));
  }
}

function writeModel(folder: string, tensors: ReadonlyMap<string, StoredTensor>): void {
  mkdirSync(join(out!, folder), { recursive: true });
  writeFileSync(join(out!, folder, "config.json"), JSON.stringify(demoModelConfig(), null, 2));
  writeTokenizer(folder);
  writeSafetensors(join(out!, folder, "model.safetensors"), tensors);
}

function writeTokenizer(folder: string): void {
  writeFileSync(join(out!, folder, "tokenizer.json"), JSON.stringify(demoTokenizerJson()));
}

/** Writes a model with random weights. */
function writeStart(folder: string): void {
  const backend = createReferenceBackend();
  const config = deberta.parseConfig({ ...demoModelConfig() });
  const { tree } = declareModel(deberta, config, {
    task: "classification",
    labels: answers.length,
  });
  initializeWeights(backend, tree, 1);
  const tensors = [...tree.parameters.values()].map(({ name, storedShape, buffer }) => {
    const values = Float32Array.from(backend.download(buffer));
    return [name, float32Tensor(storedShape, values)] as const;
  });
  writeModel(folder, new Map(tensors));
}

function pretrain({
  from,
  data,
  to,
  steps,
}: Record<"from" | "data" | "to", string> & { steps: number }): void {
  const flags = {
    task: "classification",
    method: "full",
    model: join(out!, from),
    data: join(out!, data),
    out: join(out!, to),
    "max-steps": Math.max(1, Math.round(steps * Number(share))),
    "max-length": 64,
    "batch-size": 64,
    lr: 1.5e-3,
    "warmup-ratio": 0.04,
    "weight-decay": 0.01,
    "eval-steps": 1000,
    "save-steps": 100_000,
  };
  const words = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const main = join(import.meta.dir, "../cli/main.ts");
  const { exitCode } = Bun.spawnSync([process.execPath, main, "run", ...words, "--overwrite"], {
    stdout: "inherit",
    stderr: "inherit",
  });
  if (exitCode !== 0) throw new Error(`pretraining on ${data} ended with ${exitCode}`);
  writeTokenizer(`${to}/model`);
}

/** Writes the backbone in half precision, without the pretraining task's head. */
function writeHalf(folder: string): void {
  const { tensors } = openSafetensors(join(out!, folder, "model.safetensors"));
  const backbone = [...tensors].filter(([name]) => name.startsWith("deberta."));
  const half = backbone.map(([name, tensor]) => {
    const values = Float16Array.from(toFloat32(tensor));
    shorten(new Uint16Array(values.buffer));
    return [
      name,
      { dtype: "F16", shape: tensor.shape, bytes: new Uint8Array(values.buffer) },
    ] as const;
  });
  writeSafetensors(join(out!, "model.safetensors"), new Map(half));
}

/** Rounds f16 numbers to 5 bits of their mantissa: zeros compress, and the npm package is small. */
function shorten(halves: Uint16Array): void {
  const dropped = 5;
  const mask = (1 << dropped) - 1;
  for (const [i, half] of halves.entries()) halves[i] = (half + (1 << (dropped - 1))) & ~mask;
}
