/**
 * Logits in float64, by the reference backend, of models with and without adapters: `bun
 * export-logits.ts CASES.json`. CASES.json lists { task, labels, base, adapter, ids }, where
 * `adapter` may be null; the targets of a generation are the first three ids of each row. Prints a
 * JSON list with each one's logits, flat.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { applyAdapter } from "../../core/model/adapter-files.ts";
import { createFamilies } from "../../core/model/families.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { isGenerationModel, type Model, type TaskHead } from "../../core/model/plugin.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import { plugins } from "../../plugins/index.ts";

interface Case {
  readonly task: TaskHead["task"];
  readonly labels: number;
  readonly base: string;
  readonly adapter: string | null;
  readonly ids: readonly (readonly number[])[];
}

const [path] = process.argv.slice(2);
if (!path) throw new Error("usage: export-logits.ts CASES.json");
const cases: readonly Case[] = JSON.parse(readFileSync(path, "utf8"));
console.log(JSON.stringify(cases.map(logitsOf)));

function logitsOf({ task, labels, base, adapter, ids }: Case): readonly number[] {
  const backend = createReferenceBackend();
  const raw = readJsonObject(join(base, "config.json"));
  const { plugin } = createFamilies(plugins).familyOf(String(raw["model_type"]));
  const declared = declareModel(plugin, plugin.parseConfig(raw), { task, labels });
  const { tensors } = openCheckpoint(base);
  loadWeights(backend, declared.tree, tensors, plugin, { where: base, seed: 1 });
  if (adapter !== null) applyAdapter(backend, declared, readPeftAdapter(adapter), adapter);
  const pass = new ForwardPass(backend, { training: false });
  let logits: readonly number[] = [];
  pass.scope(() => {
    const tensor = forward(declared.model, pass, ids);
    logits = Array.from(backend.download(tensor.buffer));
  });
  return logits;
}

function forward(model: Model, pass: ForwardPass, ids: Case["ids"]) {
  if (!isGenerationModel(model)) return model.forward(pass, packSequences(ids));
  const targets = ids.map((row) => row.slice(0, 3));
  const { target } = packTargets(targets, model.special);
  const source = model.encode(pass, packSequences(ids));
  return model.logits(pass, model.decode(pass, target, source));
}
