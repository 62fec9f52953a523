import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend, HostTensor } from "../../core/backend.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { toFloat64 } from "../../core/io/float-conversion.ts";
import { openSafetensors } from "../../core/io/safetensors.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import { type DeclaredModel, declareModel } from "../../core/model/open-model.ts";
import type { ModelPlugin, TaskHead } from "../../core/model/plugin.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { ParameterArena } from "../../core/optim/parameter-arena.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { answerSpanLoss } from "../../core/tasks/span-loss.ts";
import type { Tensor } from "../../core/tensor.ts";

type Shape = readonly number[];

/** The file that test/oracle/encoder-families.py writes beside a family's tensors. */
interface Description {
  readonly config: Readonly<Record<string, unknown>>;
  readonly lengths: readonly number[];
  readonly labels: readonly number[];
  readonly targets: readonly number[];
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  /** Names and shapes of each case's checkpoint. */
  readonly keys: Readonly<Record<string, Readonly<Record<string, Shape>>>>;
}

/** A family's tiny models as transformers computes them in float64. */
export interface FamilyGolden extends Description {
  readonly numbers: ReadonlyMap<string, Float64Array>;
}

/** What a backend computes of a case, under the names of the golden's tensors. */
export type Computed = ReadonlyMap<string, Float64Array>;

const folder = join(import.meta.dir, "../fixtures/encoders");

/** Reads a family's golden. */
export function readFamilyGolden(family: string): FamilyGolden {
  const description: Description = JSON.parse(readFileSync(join(folder, `${family}.json`), "utf8"));
  const { tensors } = openSafetensors(join(folder, `${family}.safetensors`));
  return {
    ...description,
    numbers: new Map([...tensors].map(([name, tensor]) => [name, toFloat64(tensor)])),
  };
}

/** The tasks of a golden's cases: `span` counts padding in its loss, `span-unpadded` does not. */
export const familyCases: Readonly<Record<string, TaskHead>> = {
  classification: { task: "classification", labels: 3 },
  regression: { task: "regression", labels: 1 },
  span: { task: "span", labels: 2, paddedQueries: "uniform" },
  "span-unpadded": { task: "span", labels: 2 },
};

/** Logits, loss, gradients and, for classification, hidden states of a case. */
export function computeCase(
  backend: Backend,
  plugin: ModelPlugin,
  golden: FamilyGolden,
  name: string,
): Computed {
  const head = familyCases[name];
  if (!head) throw new Error(`no case ${name}`);
  const config = plugin.parseConfig(golden.config);
  const declared = declareModel(plugin, config, head);
  const { tree } = declared;
  const parameters = [...tree.parameters.values()];
  for (const parameter of parameters) parameter.requiresGrad = true;
  const weights = Object.entries(golden.keys[name] ?? {});
  const tensors = new Map(weights.map(([key, shape]) => [key, waveTensor(key, shape)]));
  const filled = loadWeights(backend, tree, tensors, plugin, { where: "golden", seed: 1 });
  if (filled.length > 0) throw new Error(`the golden lacks ${filled[0]?.name}`);
  const arena = new ParameterArena(backend, [], parameters);
  const found = new Map<string, Float64Array>();
  const observed = name === "classification";
  const states = (state: string, { buffer }: Tensor) =>
    found.set(state, Float64Array.from(backend.download(buffer)));
  const pass = new ForwardPass(backend, {
    training: true,
    ...(observed ? { observe: states } : {}),
  });
  pass.scope(() => {
    const spied = {
      forward(...args: Parameters<DeclaredModel["model"]["forward"]>) {
        const logits = declared.model.forward(...args);
        states("logits", logits);
        return logits;
      },
    };
    const loss = lossOf(pass, spied, golden, head);
    states("loss", loss);
    pass.tape.backward(loss, 1);
  });
  for (const parameter of parameters) {
    const gradient = backend.download(arena.partOf(arena.gradients, parameter));
    found.set(`grad.${parameter.name}`, Float64Array.from(gradient));
  }
  return found;
}

/** The largest errors of a case, relative to a tensor's largest value, with the tensors' names. */
export interface CaseErrors {
  readonly outputs: TensorError;
  readonly gradients: TensorError;
}

interface TensorError {
  readonly error: number;
  readonly tensor: string;
}

// Gradients that cancel, such as those of key biases, are compared on the scale of the others.
const LEAST_SCALE = 0.05;

/** Compares a case with its golden. Throws unless both hold the same tensors. */
export function errorsOf(computed: Computed, { numbers }: FamilyGolden, name: string): CaseErrors {
  const worst = { outputs: { error: 0, tensor: "" }, gradients: { error: 0, tensor: "" } };
  const expected = [...numbers].filter(([key]) => key.startsWith(`${name}.`));
  if (expected.length !== computed.size)
    throw new Error(`${name}: ${computed.size} tensors for the golden's ${expected.length}`);
  for (const [key, want] of expected) {
    const tensor = key.slice(name.length + 1);
    const got = computed.get(tensor);
    if (!got) throw new Error(`${key} was not computed`);
    const kind = tensor.startsWith("grad.") ? "gradients" : "outputs";
    const error = relativeError(got, want);
    if (!(error <= worst[kind].error)) worst[kind] = { error, tensor };
  }
  return worst;
}

// --- internal ---

/** NaN where the tensors differ in length or got holds one. */
function relativeError(got: Float64Array, want: Float64Array): number {
  const scale = want.reduce((most, value) => Math.max(most, Math.abs(value)), LEAST_SCALE);
  const compared = Math.max(got.length, want.length);
  let worst = 0;
  for (let i = 0; i < compared; i++) worst = Math.max(worst, Math.abs(got[i]! - want[i]!) / scale);
  return worst;
}

function lossOf(
  pass: ForwardPass,
  model: DeclaredModel["model"],
  golden: FamilyGolden,
  head: TaskHead,
): Tensor {
  const { lengths, labels, targets, starts, ends } = golden;
  const sequences = lengths.map(idsOf);
  const types = sequences.map((ids) => ids.map((_, i) => Number(i >= 3)));
  const hasTypes = Number(golden.config["type_vocab_size"]) > 1;
  const batch = packSequences(sequences, hasTypes ? types : undefined);
  if (head.task === "span") {
    const width = Math.max(...lengths);
    const padding = Int32Array.from(lengths, (length) => width - length);
    const counted = head.paddedQueries === undefined ? {} : { padding };
    return answerSpanLoss(model)(pass, { ...batch, ...counted, starts, ends });
  }
  if (head.task === "generation") throw new Error("encoders don't generate");
  const own = head.task === "regression" ? targets : labels;
  return sequenceLoss(model, head.task)(pass, { ...batch, labels: own });
}

/** The tokens of the golden's sequence of a length. */
const idsOf = (length: number) =>
  Array.from({ length }, (_, i) => 2 + ((7 * i * i + 3 * i + length) % 19));

/** 0.35 sin(1.7 i + the sum of the name's character codes); around 1 for a LayerNorm's weight. */
function waveTensor(name: string, shape: Shape): HostTensor {
  const phase = Array.from(name).reduce((sum, c) => sum + c.charCodeAt(0), 0);
  const isNorm = name.toLowerCase().replaceAll("_", "").endsWith("layernorm.weight");
  const values = Float32Array.from(
    { length: shape.reduce((a, b) => a * b, 1) },
    (_, i) => Number(isNorm) + 0.35 * Math.sin(1.7 * i + phase),
  );
  return { dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
}
