import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { openTorchCheckpoint } from "../../core/io/torch-pickle.ts";
import type { SourceTargetBatch } from "../../core/nn/source-target-batch.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import { ParameterArena } from "../../core/optim/parameter-arena.ts";
import {
  type GenerationModel,
  type Model,
  type TaskHead,
  isGenerationModel,
} from "../../core/model/plugin.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { type GenerationBatch, generationLoss } from "../../core/tasks/generation-loss.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GoldenCase, packGolden, tensorOf, packedRows } from "../../core/model/golden-case.ts";
import { type CaseModel, type Tolerance, loadModel } from "./golden-case.ts";
import type { TrainingKind } from "./training-case.ts";

const head: TaskHead = { task: "generation", labels: 0 };

/** Hidden states, logits, loss and every gradient, with label smoothing too; with a bin beside the safetensors, from both. */
export function checkBart(backend: Backend, golden: GoldenCase, tolerance: Tolerance): CaseResult {
  const comparison = new Comparison(tolerance);
  const files = [undefined, join(golden.dir, "pytorch_model.bin")];
  for (const bin of files) {
    if (bin !== undefined && !existsSync(bin)) continue;
    const weights = bin === undefined ? {} : { weights: openTorchCheckpoint(bin) };
    const load = () => loadModel(backend, golden.dir, { trainAll: true, head, ...weights });
    compareOutputs(backend, golden, load(), tolerance, comparison);
    compareLoss(backend, golden, load(), { tag: "", smoothing: 0 }, tolerance, comparison);
    const smoothing = golden.golden["smoothing"];
    if (typeof smoothing !== "number") continue;
    compareLoss(backend, golden, load(), { tag: "_smooth", smoothing }, tolerance, comparison);
  }
  return comparison.result;
}

/** The model as what it is: `loadModel` builds any family's. */
function generator(model: Model): GenerationModel {
  if (isGenerationModel(model)) return model;
  throw new Error("the case's model does not write");
}

function compareOutputs(
  backend: Backend,
  golden: GoldenCase,
  { model }: CaseModel,
  { outputs }: Tolerance,
  comparison: Comparison,
): void {
  const hidden = new Map<string, ArrayLike<number>>();
  const bart = generator(model);
  const batch = bartBatch(bart, golden, "input.", 0);
  const pass = new ForwardPass(backend, {
    training: false,
    observe: (name, tensor) => hidden.set(name, backend.download(tensor.buffer)),
  });
  pass.scope(() => {
    const logits = backend.download(bart.forward(pass, batch).buffer);
    const want = packedRows(tensorOf(golden, "out.logits"), batch.targetRows);
    comparison.close("logits", logits, want, outputs);
  });
  const inputs = packedRows(tensorOf(golden, "out.decoder_input_ids"), batch.targetRows, 1);
  comparison.same("decoder_input_ids", Array.from(batch.target.ids), inputs);
  const last = [...golden.tensors.keys()].filter((name) => name.startsWith("out.encoder_hidden."));
  for (const [name, want] of golden.tensors) {
    const state = /^out\.((?:en|de)coder_hidden\.\d+|encoder_last_hidden_state)$/.exec(name)?.[1];
    if (state === undefined) continue;
    const rows = state.startsWith("encoder") ? batch.rows : batch.targetRows;
    const ours =
      state === "encoder_last_hidden_state" ? `encoder_hidden.${last.length - 1}` : state;
    const got = hidden.get(ours);
    if (got) comparison.close("hidden", got, packedRows(want, rows), outputs, name);
    else comparison.fail(`${name}: the model shows no such hidden state`);
  }
}

function compareLoss(
  backend: Backend,
  golden: GoldenCase,
  { model, tree }: CaseModel,
  { tag, smoothing }: { tag: string; smoothing: number },
  tolerance: Tolerance,
  comparison: Comparison,
): void {
  const trained = [...tree.parameters.values()].filter(({ constant }) => !constant);
  const arena = new ParameterArena(backend, [], trained);
  const bart = generator(model);
  const pass = new ForwardPass(backend, { training: true });
  pass.scope(() => {
    const loss = generationLoss(bart, { smoothing })(pass, bartBatch(bart, golden, "input.", 0));
    const want = tensorOf(golden, `loss${tag}`).values;
    comparison.close(`loss${tag}`, backend.download(loss.buffer), want, tolerance.outputs);
    pass.tape.backward(loss, 1);
  });
  const expected = new Set(trained.map(({ name }) => name));
  for (const [name, want] of golden.tensors) {
    if (!name.startsWith(`grad${tag}.`)) continue;
    const parameter = tree.parameters.get(name.slice(`grad${tag}.`.length));
    if (!parameter || !expected.delete(parameter.name)) {
      comparison.fail(`${name}: the model trains no such parameter`);
      continue;
    }
    const got = backend.download(arena.partOf(arena.gradients, parameter));
    comparison.close(`gradients${tag}`, got, want.values, tolerance.gradients, name);
  }
  if (expected.size > 0) comparison.fail(`no golden gradient of ${[...expected].join(", ")}`);
}

/** Training of BART on pairs of source and target. */
export const bartKind: TrainingKind<GenerationBatch> = {
  head,
  lossOf: ({ model }) => generationLoss(generator(model), { smoothing: 0 }),
  batch: (golden, step, { model }) => bartBatch(generator(model), golden, "batch.", step),
};

interface PaddedRows {
  /** Places of the packed rows in the padded sources and targets. */
  readonly rows: Int32Array;
  readonly targetRows: Int32Array;
}

function bartBatch(
  { special }: GenerationModel,
  golden: GoldenCase,
  prefix: string,
  step: number,
): GenerationBatch & PaddedRows {
  const labels = tensorOf(golden, `${prefix}labels`);
  const [sequences, width] = [labels.shape.at(-2) ?? 0, labels.shape.at(-1) ?? 0];
  const rows = Array.from({ length: sequences }, (_, b) => (step * sequences + b) * width);
  const packed = packTargets(
    rows.map((from) => labels.values.subarray(from, from + width)),
    special,
  );
  const { offsets, positions } = packed.target;
  const sequenceOf = (row: number) => offsets.findIndex((end, b) => b > 0 && row < end) - 1;
  const targetRows = positions.map((position, row) => sequenceOf(row) * width + position);
  return { ...sourceBatch(golden, prefix, step), ...packed, targetRows };
}

function sourceBatch(golden: GoldenCase, prefix: string, step: number) {
  const ids = tensorOf(golden, `${prefix}input_ids`);
  const [sequences, width] = [ids.shape.at(-2) ?? 0, ids.shape.at(-1) ?? 0];
  const mask = tensorOf(golden, `${prefix}attention_mask`);
  return packGolden(ids, mask, undefined, { offset: step * sequences * width });
}

/** Sources, and targets as the decoder reads them, of an evaluation without labels. */
export function evaluationBatch(golden: GoldenCase): SourceTargetBatch {
  const ids = tensorOf(golden, "eval.decoder_input_ids");
  const all = { shape: ids.shape, values: ids.values.map(() => 1) };
  return { ...sourceBatch(golden, "eval.", 0), target: packGolden(ids, all, undefined) };
}
