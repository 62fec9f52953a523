import { existsSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import type { Backend } from "../../core/backend.ts";
import { AdaloraError } from "../../core/errors.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import {
  type GoldenCase,
  packGolden,
  packedRows,
  readGoldenCase,
  tensorOf,
} from "../../core/model/golden-case.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import {
  type HeadKind,
  isGenerationModel,
  type Model,
  type ModelPlugin,
} from "../../core/model/plugin.ts";
import type { Tensor } from "../../core/tensor.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import {
  counted,
  findings,
  listed,
  type PluginSource,
  type PluginFinding,
  thrown,
} from "./finding.ts";
import { largestDifference } from "./subject.ts";

const { ok, fail } = findings("golden");

/** Allowed difference in f64, relative to the largest value where that exceeds 1. */
const TOLERANCE = 1e-9;

/**
 * Compares logits and hidden states with what another program recorded (test/golden/cases has the
 * format). The folder may hold its own checkpoint; otherwise the model's is used. Throws E_FILE for
 * a folder that is no golden case.
 */
export function checkGolden(
  plugin: ModelPlugin,
  { golden: dir, model }: { readonly golden: string; readonly model: string },
  file: PluginSource,
): PluginFinding[] {
  const golden = readGoldenCase(dir);
  const checkpoint = existsSync(join(dir, "config.json")) ? dir : model;
  try {
    return compare(golden, plugin, checkpoint);
  } catch (error) {
    if (error instanceof AdaloraError && error.where !== undefined) throw error;
    return [thrown("golden", error, file)];
  }
}

// --- internal ---

/** What was computed, or recorded, by name: values of packed rows. */
type States = ReadonlyMap<string, ArrayLike<number>>;

function compare(golden: GoldenCase, plugin: ModelPlugin, checkpoint: string): PluginFinding[] {
  const { task, labels } = headOf(golden, plugin);
  const config = plugin.parseConfig(readJsonObject(join(checkpoint, "config.json")));
  const { model, tree } = declareModel(plugin, config, { task, labels });
  const backend = createReferenceBackend();
  const { tensors } = openCheckpoint(checkpoint);
  const filled = loadWeights(backend, tree, tensors, plugin, { where: checkpoint, seed: 0 });
  const random = filled.filter(({ constant }) => !constant).map(({ name }) => name);
  const runner = goldenRunner(golden, model);
  if (random.length > 0 && runner.logits.size > 0) {
    const hint = "record outputs of a checkpoint that has the head, and name its folder";
    return [fail(`the checkpoint lacks ${listed(random)}: its logits would be random`, hint)];
  }
  const observed = run(backend, runner, true);
  const wrong = differences(observed, runner.recorded);
  if (wrong.length === 0) wrong.push(...differences(run(backend, runner, false), runner.logits));
  if (wrong.length > 0) return wrong;
  const states = counted(runner.recorded.size - runner.logits.size, "hidden state");
  const what = runner.logits.size > 0 ? `logits and ${states}` : states;
  return [ok(`${task}: ${what} within ${TOLERANCE}`)];
}

/** The task whose outputs a case holds. */
function headOf({ tensors }: GoldenCase, plugin: ModelPlugin): { task: HeadKind; labels: number } {
  if (tensors.has("out.start_logits")) return { task: "span", labels: 2 };
  const logits = tensors.get("out.logits");
  const generates = !plugin.tasks.includes("classification") && plugin.tasks.includes("generation");
  if (logits ? logits.shape.length === 3 : generates) return { task: "generation", labels: 0 };
  const labels = logits?.shape.at(-1) ?? 2;
  const isScore = labels === 1 && plugin.tasks.includes("regression");
  return { task: isScore ? "regression" : "classification", labels };
}

interface GoldenRunner {
  readonly forward: (pass: ForwardPass) => Tensor;
  /** Logits first, then hidden states in the order of the model. */
  readonly recorded: States;
  readonly logits: States;
}

function goldenRunner(golden: GoldenCase, model: Model): GoldenRunner {
  const { tensors } = golden;
  const mask = tensorOf(golden, "input.attention_mask");
  const types = tensors.get("input.token_type_ids");
  const batch = packGolden(tensorOf(golden, "input.input_ids"), mask, types);
  const target = isGenerationModel(model) ? targetOf(golden, model.special) : undefined;
  const rowsOf = (state: string) =>
    target && /^(decoder|logits)/.test(state) ? target.rows : batch.rows;
  const states = [...tensors].flatMap(([name, tensor]) => {
    const state = /^out\.((?:encoder_|decoder_)?hidden\.\d+)$/.exec(name)?.[1];
    return state === undefined ? [] : [[state, packedRows(tensor, rowsOf(state))] as const];
  });
  const logits = recordedLogits(golden, rowsOf("logits"));
  if (logits.size + states.length === 0) tensorOf(golden, "out.logits"); // throws
  const all = target ? { ...batch, target: target.batch } : batch;
  return {
    forward: (pass) => model.forward(pass, all),
    recorded: new Map([...states.toSorted(byDepth), ...logits]),
    logits,
  };
}

/** hidden.2 before hidden.10, the encoder's before the decoder's. */
function byDepth([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  const [, stackA = "", depthA] = /^(.*)\.(\d+)$/.exec(a) ?? [];
  const [, stackB = "", depthB] = /^(.*)\.(\d+)$/.exec(b) ?? [];
  if (stackA !== stackB) return stackA < stackB ? 1 : -1;
  return Number(depthA) - Number(depthB);
}

function targetOf(golden: GoldenCase, special: { readonly start: number; readonly pad: number }) {
  const labels = tensorOf(golden, "input.labels");
  const [sequences, width] = [labels.shape.at(-2) ?? 0, labels.shape.at(-1) ?? 0];
  const rows = Array.from({ length: sequences }, (_, b) =>
    labels.values.subarray(b * width, (b + 1) * width),
  );
  const { target } = packTargets(rows, special);
  const { offsets, positions } = target;
  const sequenceOf = (row: number) => offsets.findIndex((end, b) => b > 0 && row < end) - 1;
  return {
    batch: target,
    rows: positions.map((position, row) => sequenceOf(row) * width + position),
  };
}

/** The recorded logits at packed rows; empty if the case has hidden states only. */
function recordedLogits(golden: GoldenCase, rows: Int32Array): States {
  const start = golden.tensors.get("out.start_logits");
  const logits = golden.tensors.get("out.logits");
  const named = (values: readonly number[]) => new Map([["logits", values]]);
  if (start) {
    const end = tensorOf(golden, "out.end_logits");
    return named(Array.from(rows).flatMap((row) => [start.values[row]!, end.values[row]!]));
  }
  if (!logits) return new Map();
  return named(logits.shape.length === 3 ? packedRows(logits, rows) : [...logits.values]);
}

function run(backend: Backend, { forward }: GoldenRunner, observed: boolean): States {
  const states = new Map<string, ArrayLike<number>>();
  const observe: NonNullable<ConstructorParameters<typeof ForwardPass>[1]["observe"]> = (
    name,
    { buffer },
  ) => void states.set(name, backend.download(buffer));
  const pass = new ForwardPass(backend, { training: false, ...(observed ? { observe } : {}) });
  pass.scope(() => void states.set("logits", backend.download(forward(pass).buffer)));
  return states;
}

/** The first state that differs: later ones follow from it. */
function differences(computed: States, recorded: States): PluginFinding[] {
  const missing = [...recorded.keys()].filter((name) => !computed.has(name));
  if (missing.length > 0) {
    const hint = "pass.observe(name, tensor): the embeddings as hidden.0, then each layer's output";
    return [fail(`forward observes no ${listed(missing)}`, hint)];
  }
  for (const [name, want] of recorded) {
    const difference = largestDifference(want, computed.get(name) ?? []);
    if (difference <= TOLERANCE) continue;
    const error = Number.isFinite(difference) ? difference.toExponential(1) : "their size";
    return [fail(`${name} differs from the recorded by ${error}`, differenceHint(name))];
  }
  return [];
}

function differenceHint(name: string): string {
  if (name === "logits") return "the hidden states agree: compare the head with the original's";
  const depth = Number(name.split(".").at(-1));
  return depth === 0
    ? "compare the embeddings with the original's: tables, their sum, norm, scale"
    : `the states before it agree: compare layer ${depth - 1} with the original's`;
}
