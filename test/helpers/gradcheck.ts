import type { Backend, Buffer } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { Parameter, type Tensor } from "../../core/tensor.ts";
import { fresh, product } from "./ops.ts";
import { wave } from "./wave.ts";

/** What `gradcheck` needs to know of an op. */
export interface GradCase<Name extends string> {
  /** Shapes of the inputs; their values are waves unless `values` has others. */
  readonly inputs: Readonly<Record<Name, readonly number[]>>;
  readonly values?: Partial<Readonly<Record<NoInfer<Name>, ArrayLike<number>>>>;
  /**
   * Inputs that the op overwrites, which must be the output of another op.
   */
  readonly overwrites?: readonly NoInfer<Name>[];
  /** Default: the reference. */
  readonly backend?: Backend;
  /** Inputs that are never trained. */
  readonly frozen?: readonly NoInfer<Name>[];
  build(pass: ForwardPass, inputs: Readonly<Record<NoInfer<Name>, Tensor>>): Tensor;
}

const H = 1e-5;
const TOLERANCE = 1e-7;

/**
 * Compares an op's backward with central differences of <op(inputs), v>, v a wave. Checks every
 * input with all others trained and without, as a parameter (whose gradient is accumulated) and as
 * an intermediate tensor (whose gradient starts here). Throws the op's name, the input's name and
 * the index where they differ, and if the op leaks memory.
 */
export function gradcheck<const Name extends string>(name: string, gradCase: GradCase<Name>): void {
  const { backend = createReferenceBackend() } = gradCase;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the case itself
  const names = Object.keys(gradCase.inputs) as Name[];
  const parameters = new Map(names.map((n, i) => [n, parameterOf(backend, gradCase, n, i)]));
  const subject: Subject<Name> = { backend, gradCase, parameters };
  const trainable = names.filter((n) => !gradCase.frozen?.includes(n));
  const numeric = new Map(trainable.map((n) => [n, differences(subject, n)]));
  const before = backend.memory().live;
  for (const trained of [trainable, ...trainable.map((n) => [n])]) {
    for (const inner of [false, true]) {
      const analytic = gradients(subject, trained, inner);
      for (const n of trained) {
        const where = `${name} (${inner ? "inner" : "parameters"}, trained: ${trained.join(", ")})`;
        compare(`${where}: d/d(${n})`, numeric.get(n) ?? [], analytic.get(n) ?? []);
      }
      if (backend.memory().live !== before) throw new Error(`${name}: memory leaks`);
    }
  }
}

interface Subject<Name extends string> {
  readonly backend: Backend;
  readonly gradCase: GradCase<Name>;
  readonly parameters: ReadonlyMap<Name, Parameter>;
}

function parameterOf<Name extends string>(
  backend: Backend,
  { inputs, values }: GradCase<Name>,
  name: Name,
  phase: number,
): Parameter {
  const parameter = new Parameter(name, inputs[name]);
  parameter.buffer = backend.alloc(backend.master, parameter.length);
  parameter.grad = backend.alloc(backend.master, parameter.length);
  backend.upload(parameter.buffer, values?.[name] ?? wave(parameter.length, phase));
  return parameter;
}

/** <op(inputs), v>, and with `backward` its gradients. */
function evaluate<Name extends string>(
  { backend, gradCase, parameters }: Subject<Name>,
  { inner, backward }: { inner: boolean; backward: boolean },
): number {
  let value = NaN;
  const pass = new ForwardPass(backend, { training: true, seed: [7, 8], index: 9 });
  pass.scope(() => {
    const inputs: Partial<Record<Name, Tensor>> = {};
    for (const [name, parameter] of parameters) {
      const isInner = inner || gradCase.overwrites?.includes(name);
      inputs[name] = isInner ? fresh(pass, { x: parameter }, {}) : parameter;
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- filled just above
    const out = gradCase.build(pass, inputs as Record<Name, Tensor>);
    const cotangent: Buffer = pass.allocate(out.buffer.length);
    backend.upload(cotangent, wave(out.buffer.length, 0.5));
    const loss = product(pass, { y: out }, { cotangent });
    value = backend.download(loss.buffer)[0] ?? NaN;
    if (backward) pass.tape.backward(loss, 1);
  });
  return value;
}

function differences<Name extends string>(subject: Subject<Name>, name: Name): Float64Array {
  const { backend, parameters } = subject;
  for (const parameter of parameters.values()) parameter.requiresGrad = false;
  const { buffer } = parameters.get(name) ?? raise(name);
  const start = Float64Array.from(backend.download(buffer));
  const at = (index: number, change: number) => {
    const moved = start.slice();
    moved[index] = (moved[index] ?? NaN) + change;
    backend.upload(buffer, moved);
    return evaluate(subject, { inner: false, backward: false });
  };
  const slopes = start.map((_, i) => (at(i, H) - at(i, -H)) / (2 * H));
  backend.upload(buffer, start);
  return slopes;
}

function gradients<Name extends string>(
  subject: Subject<Name>,
  trained: readonly Name[],
  inner: boolean,
): ReadonlyMap<Name, Float64Array> {
  const { backend, parameters } = subject;
  const before = (length: number) => wave(length, 2.5); // not zero, so that backward must add
  for (const [name, parameter] of parameters) {
    parameter.requiresGrad = trained.includes(name);
    backend.upload(parameter.grad ?? raise(name), before(parameter.length));
  }
  evaluate(subject, { inner, backward: true });
  return new Map(
    trained.map((name) => {
      const { grad, length } = parameters.get(name) ?? raise(name);
      const after = Float64Array.from(backend.download(grad ?? raise(name)));
      const start = before(length);
      return [name, after.map((x, i) => x - (start[i] ?? NaN))];
    }),
  );
}

function compare(what: string, numeric: ArrayLike<number>, analytic: ArrayLike<number>): void {
  for (let i = 0; i < numeric.length; i++) {
    const [n, a] = [numeric[i]!, analytic[i]!];
    if (Math.abs(n - a) <= TOLERANCE * Math.max(1, Math.abs(n))) continue;
    throw new Error(`${what}[${i}] numeric ${n.toFixed(8)} analytic ${a.toFixed(8)}`);
  }
  if (numeric.length !== analytic.length || numeric.length === 0)
    throw new Error(`${what}: ${analytic.length} gradients of ${numeric.length}`);
}

function raise(name: string): never {
  throw new Error(`no input ${name}`);
}
