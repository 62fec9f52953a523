import type { Backend } from "../../core/backend.ts";
import { ForwardPass, type ForwardPassOptions } from "../../core/forward-pass.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { type DeclaredModel, declareModel } from "../../core/model/open-model.ts";
import type { HeadKind, ModelLimits, ModelPlugin, TaskHead } from "../../core/model/plugin.ts";
import type { Fill } from "../../core/nn/module-scope.ts";
import type { PaddedQueries } from "../../core/ops/padding-rows.ts";
import { ParameterArena } from "../../core/optim/parameter-arena.ts";
import { normals, streamOf } from "../../core/rng.ts";
import type { Parameter } from "../../core/tensor.ts";
import type { Example } from "./examples.ts";
import { type TaskRunner, taskRunner } from "./task-runner.ts";

/** A task to check, and how a span loss counts padding. */
export interface SubjectKind {
  readonly task: HeadKind;
  readonly paddedQueries: PaddedQueries | undefined;
  /** For messages: "span with padding (zero)". */
  readonly name: string;
}

/** A shrunken model's plugin and config, and the examples that it runs on. */
export interface SubjectSource {
  readonly plugin: ModelPlugin;
  readonly config: object;
  readonly examples: readonly Example[];
  /** Whether examples have segments. */
  readonly typed: boolean;
}

/** A shrunken model of one task with values, all of which are trained. */
export interface Subject extends DeclaredModel {
  readonly kind: SubjectKind;
  readonly labels: number;
  readonly limits: ModelLimits;
  readonly backend: Backend;
  readonly runner: TaskRunner;
  readonly examples: readonly Example[];
  readonly arena: ParameterArena;
}

/** Dropout of a subject; the config's own probabilities are 0. */
export type SubjectDropout = NonNullable<TaskHead["dropout"]>;

/** What is checked of each task: questions three times, by what padded positions attend to. */
export function subjectKinds({ tasks }: Pick<ModelPlugin, "tasks">): readonly SubjectKind[] {
  return tasks.flatMap((task): SubjectKind[] => {
    const plain = { task, paddedQueries: undefined, name: task };
    if (task !== "span") return [plain];
    const padded = (["zero", "uniform"] as const).map((paddedQueries) => {
      return { task, paddedQueries, name: `span with padding (${paddedQueries})` };
    });
    return [plain, ...padded];
  });
}

/** Output width of a task's head in a subject. */
const subjectLabels = { classification: 3, regression: 1, span: 2, generation: 0 } as const;

/** Builds a task's model and fills it: values of order 1, so that every part of it matters. */
export function createSubject(
  backend: Backend,
  { plugin, config, examples, typed }: SubjectSource,
  kind: SubjectKind,
  dropout: SubjectDropout = { hidden: 0, attention: 0, head: 0 },
): Subject {
  const { task, paddedQueries } = kind;
  const labels = subjectLabels[task];
  const head = { task, labels, dropout, ...(paddedQueries && { paddedQueries }) };
  const declared = declareModel(plugin, config, head);
  const runner = taskRunner(task, declared.model, { typed, padded: paddedQueries !== undefined });
  const { tree } = declared;
  initializeWeights(backend, tree, SEED);
  const trained = [...tree.parameters.values()].filter(({ constant }) => !constant);
  for (const parameter of trained) {
    const values = valuesOf(parameter, tree.fills.get(parameter.name));
    parameter.buffer = backend.alloc(backend.master, parameter.length);
    backend.upload(parameter.buffer, values);
  }
  const arena = new ParameterArena(backend, [], trained);
  const limits = plugin.limits(config);
  return { ...declared, kind, labels, limits, backend, runner, examples, arena };
}

/** The logits of an evaluation. */
export function logitsOf(
  { backend, runner, examples: own }: Subject,
  { examples = own, ...options }: { readonly examples?: readonly Example[] } & PassOptions = {},
): Float64Array {
  const pass = new ForwardPass(backend, { training: false, ...options });
  let logits = new Float64Array();
  pass.scope(() => {
    logits = Float64Array.from(backend.download(runner.logits(pass, examples).buffer));
  });
  return logits;
}

/** The loss of a training pass without its backward. */
export function lossOf(subject: Subject, options: PassOptions = {}): number {
  const { backend, runner, examples } = subject;
  const pass = trainingPass(backend, options);
  let loss = NaN;
  pass.scope(() => {
    loss = backend.download(runner.loss(pass, examples).buffer)[0] ?? NaN;
    pass.tape.clear();
  });
  return loss;
}

/** A training pass: its loss and the gradient of every parameter, in the arena's order. */
export function gradientsOf(subject: Subject, options: PassOptions = {}): LossAndGradients {
  const { backend, runner, examples, arena } = subject;
  arena.zeroGradients();
  const pass = trainingPass(backend, options);
  let loss = NaN;
  pass.scope(() => {
    const out = runner.loss(pass, examples);
    loss = backend.download(out.buffer)[0] ?? NaN;
    pass.tape.backward(out, 1);
  });
  return { loss, gradients: Float64Array.from(backend.download(arena.gradients)) };
}

/** The result of `gradientsOf`. */
export interface LossAndGradients {
  readonly loss: number;
  readonly gradients: Float64Array;
}

/** A pass that records a tape, with the seed of all checks. */
export function trainingPass(backend: Backend, options: PassOptions = {}): ForwardPass {
  return new ForwardPass(backend, { training: true, seed: [SEED, 0], index: 1, ...options });
}

/** Options of a check's pass. */
export type PassOptions = Partial<Omit<ForwardPassOptions, "training">>;

/** What sums in another order may differ by in f64. */
export const ROUNDING = 1e-12;

/** The largest difference of two results, relative to the largest value where that exceeds 1. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let [difference, scale] = [0, 1];
  for (let i = 0; i < a.length; i++) {
    const distance = Math.abs(a[i]! - b[i]!);
    if (!(distance <= difference)) difference = distance; // NaN too
    scale = Math.max(scale, Math.abs(a[i]!));
  }
  return difference / scale;
}

// --- internal ---

const SEED = 7;
const SPREAD = 0.3;

/** Gains around 1, everything else around 0. */
function valuesOf({ name, length }: Parameter, fill: Fill | undefined): Float32Array {
  const values = normals(length, SPREAD, SEED, streamOf(name));
  return fill === "ones" ? values.map((value) => 1 + value) : values;
}
