import type { Sink } from "../autograd.ts";
import type { Buffer } from "../backend.ts";
import { errors, invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { ActivationKind, Dropout } from "../kernels/elementwise.ts";
import type {
  LinearBackward,
  LinearForward,
  LinearIncrement,
  LinearIncrementBackward,
} from "../kernels/linears.ts";
import type { Tensor } from "../tensor.ts";
import { checkActivation } from "./activation.ts";

/** An adapter of a layer, or of the outputs from `start` of a fused one. */
export interface Increment {
  /** [r, in] */
  readonly a: Tensor;
  /** [r, 1]; absent for LoRA. */
  readonly e?: Tensor | undefined;
  /** [cols, r] */
  readonly b: Tensor;
  /** 1 by default. */
  readonly scale?: number | undefined;
  /** On the increment's input. */
  readonly dropout?: Dropout | undefined;
  /** 0 by default. */
  readonly start?: number | undefined;
}

/** One layer of a group. */
export interface LinearMember {
  /** W, [out, in]; frozen or trained. */
  readonly weight: Tensor;
  /** [out] */
  readonly bias?: Tensor | undefined;
  /** At most one per output. */
  readonly increments?: readonly Increment[] | undefined;
  /** f; without it y is z. */
  readonly activation?: ActivationKind | undefined;
}

/** A result for each member of a group. */
type OutputsOf<Members extends readonly LinearMember[]> = {
  readonly [Index in keyof Members]: Tensor;
};

/**
 * Linear layers that read the same x, each y = f(z), z = x W^T + bias + increments of
 * scale * (dropout(x) A^T) diag(E) B^T (paper eq. 3): one call of the backend forward, and one
 * backward. x: [N, in]; returns a y [N, out] per member.
 *
 * An increment is never merged into W: bf16 would round it away. Saves x and h = dropout(x) A^T
 * [N, r] of each increment; also z where there is an f.
 */
export function linears<const Members extends readonly LinearMember[]>(
  pass: ForwardPass,
  x: Tensor,
  members: Members,
): OutputsOf<Members> {
  const [rows, inputs] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
  const layers: Layer[] = [];
  const outs: Tensor[] = [];
  for (const member of members) {
    checkMember(x, member);
    const layer = prepare(pass, x, member);
    const { outputs, y, recording } = layer;
    layers.push(layer);
    outs.push({ shape: [rows, outputs], buffer: y, requiresGrad: recording });
  }
  pass.backend.linears(x.buffer, layers, { rows, inputs });
  record(pass, x, layers, outs);
  // What backward reads has a reference of the node.
  for (const { increments, z, y } of layers) {
    for (const { h } of increments) pass.tape.drop(h);
    if (z !== y) pass.tape.drop(z);
  }
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a list forgets the length
  return outs as unknown as OutputsOf<Members>;
}

// --- internal ---

/** A member's call. */
interface Layer extends LinearForward {
  readonly member: LinearMember;
  /** Whether it has a backward pass. */
  readonly recording: boolean;
  /** Whether backward reads x. */
  readonly readsX: boolean;
}

/** Allocates what a member's forward sets. */
function prepare(pass: ForwardPass, x: Tensor, member: LinearMember): Layer {
  const { weight, bias, increments = [], activation } = member;
  const [rows, outputs] = [x.shape[0] ?? 0, weight.shape[0] ?? 0];
  const recording = pass.tape.recording && (x.requiresGrad || isTrained(member));
  const z = pass.allocate(rows * outputs);
  const called: LinearIncrement[] = [];
  for (const { a, e, b, scale = 1, dropout, start = 0 } of increments) {
    const [rank, cols] = [a.shape[0] ?? 0, b.shape[0] ?? 0];
    const h = pass.allocateMaster(rows * rank);
    called.push({
      a: a.buffer,
      e: e?.buffer,
      b: b.buffer,
      scale,
      rank,
      dropout,
      start,
      cols,
      h,
    });
  }
  const y = activation && recording ? pass.allocate(rows * outputs) : z;
  return {
    member,
    recording,
    readsX: recording && (increments.length > 0 || weight.requiresGrad),
    weight: weight.buffer,
    bias: bias?.buffer,
    outputs,
    increments: called,
    activation,
    z,
    y,
  };
}

/** Adds a member's tensors to `inputs`, in the order in which `backwardCall` reads their sinks. */
function addTensors(
  { weight, bias, increments = [] }: LinearMember,
  inputs: (Tensor | undefined)[],
) {
  inputs.push(weight, bias);
  for (const { a, e, b } of increments) inputs.push(a, e, b);
}

/** Whether any tensor of a member needs a gradient. */
const isTrained = ({ weight, bias, increments = [] }: LinearMember) =>
  weight.requiresGrad ||
  bias?.requiresGrad === true ||
  increments.some(({ a, e, b }) => a.requiresGrad || e?.requiresGrad || b.requiresGrad);

/** Records the node of the layers that have a backward pass, if any. */
function record(
  pass: ForwardPass,
  x: Tensor,
  layers: readonly Layer[],
  outs: readonly Tensor[],
): void {
  const recorded: Layer[] = [];
  const recordedOuts: Tensor[] = [];
  const inputs: (Tensor | undefined)[] = [x];
  const keep: Buffer[] = [];
  let readsX = false;
  for (let i = 0; i < layers.length; i++) {
    const layer = layers[i]!;
    if (!layer.recording) continue;
    recorded.push(layer);
    recordedOuts.push(outs[i]!);
    addTensors(layer.member, inputs);
    addKept(layer, keep);
    readsX ||= layer.readsX;
  }
  if (recorded.length === 0) return;
  if (readsX) keep.push(x.buffer);
  pass.tape.record({
    op: "linears",
    inputs,
    outs: recordedOuts,
    keep,
    backward(douts, sinks) {
      const calls: LinearBackward[] = [];
      let first = 1; // sinks[0] is that of x
      for (let i = 0; i < recorded.length; i++) {
        const [layer, dy] = [recorded[i]!, douts[i]];
        if (dy) calls.push(backwardCall(pass, layer, dy, sinks, first));
        first += 2 + 3 * layer.increments.length;
      }
      const dx = sinks[0];
      const target = dx?.needed ? dx.accumulate() : undefined;
      const shape = { rows: x.shape[0] ?? 0, inputs: x.shape[1] ?? 0 };
      pass.backend.linearsBackward(readsX ? x.buffer : undefined, calls, target, shape);
    },
  });
}

/** Adds the buffers that a layer's backward reads, besides x. */
function addKept({ increments, z, y }: LinearForward, keep: Buffer[]): void {
  for (const { h } of increments) keep.push(h);
  if (z !== y) keep.push(z);
}

/** Where a gradient is added; undefined where none is needed. */
const targetOf = (sink: Sink | undefined) => (sink?.needed ? sink.accumulateZeroed() : undefined);

/** A member's call. Its tensors' sinks are those from `first` on: see `addTensors`. */
function backwardCall(
  pass: ForwardPass,
  layer: Layer,
  dy: Buffer,
  sinks: readonly Sink[],
  first: number,
): LinearBackward {
  const { weight, outputs, activation, z, y } = layer;
  const dz = activation ? pass.tape.inPlaceOf(dy) : dy;
  const dweight = targetOf(sinks[first]);
  const dbias = targetOf(sinks[first + 1]);
  const increments: LinearIncrementBackward[] = [];
  let at = first + 2;
  for (const { a, e, b, scale, rank, dropout, start, cols, h } of layer.increments) {
    const da = targetOf(sinks[at]);
    const de = targetOf(sinks[at + 1]);
    const db = targetOf(sinks[at + 2]);
    increments.push({ a, e, b, scale, rank, dropout, start, cols, h, da, de, db });
    at += 3;
  }
  const read = z === y ? undefined : z;
  return { weight, outputs, increments, activation, z: read, dy, dz, dweight, dbias };
}

function checkMember(x: Tensor, { weight, bias, increments = [], activation }: LinearMember): void {
  const [outputs, inputs] = [weight.shape[0] ?? 0, weight.shape[1]];
  if (x.shape.length !== 2 || weight.shape.length !== 2 || x.shape[1] !== inputs) {
    throw errors.shape("linear", "x must be [N, in] for a weight of [out, in]", { x, weight });
  }
  if (bias && bias.shape[0] !== outputs)
    throw errors.shape("linear", "bias must be [out]", { weight, bias });
  if (activation) checkActivation(activation);
  for (const increment of increments) checkIncrement(x, weight, increment);
  checkDisjoint(increments);
}

/** Backends apply one increment per output: parts beside one of all outputs would be ignored. */
function checkDisjoint(increments: readonly Increment[]): void {
  if (increments.length < 2) return;
  const ranges = increments
    .map(({ b, start = 0 }) => ({ start, end: start + (b.shape[0] ?? 0) }))
    .toSorted((one, other) => one.start - other.start);
  const isDisjoint = ranges.every(({ start }, i) => i === 0 || start >= ranges[i - 1]!.end);
  invariant(isDisjoint, "linear: two increments add to the same output");
}

function checkIncrement(x: Tensor, weight: Tensor, { a, e, b, start }: Increment): void {
  const [outputs, rank, cols] = [weight.shape[0] ?? 0, a.shape[0], b.shape[0] ?? 0];
  if (a.shape[1] !== x.shape[1]) throw errors.shape("linear", "A must be [r, in]", { x, A: a });
  if (e && e.shape[0] !== rank) throw errors.shape("linear", "E must be [r, 1]", { A: a, E: e });
  const fits = start === undefined ? cols === outputs : start + cols <= outputs;
  if (fits && b.shape[1] === rank) return;
  const rule =
    start === undefined ? "B must be [out, r]" : `B must be [cols, r] with ${start} + cols <= out`;
  throw errors.shape("linear", rule, { weight, A: a, B: b });
}
