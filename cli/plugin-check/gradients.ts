import { normals, streamOf } from "../../core/rng.ts";
import type { Parameter } from "../../core/tensor.ts";
import { counted, findings, listed, type PluginFinding } from "./finding.ts";
import { gradientsOf, lossOf, type Subject } from "./subject.ts";

const { ok, fail } = findings("gradients");

/** Steps of the central difference; the smaller one serves where a kink lies within the larger. */
const STEPS = [1e-4, 1e-6];
/** Allowed difference: relative to the gradient's norm, and absolute. */
const TOLERANCE = { relative: 1e-6, absolute: 1e-8 };

/**
 * Compares the gradient of every parameter with the slope of the loss in a random direction, and
 * looks for parameters that the loss does not depend on. Parameters with gradients of similar size
 * are first moved together, with the smallest one's tolerance, and one by one only if that fails.
 */
export function checkGradients(subject: Subject): PluginFinding[] {
  const { arena, backend } = subject;
  const { gradients } = gradientsOf(subject);
  backend.upload(arena.gradients, gradients);
  const probes = arena.parameters.map((parameter) => probeOf(subject, parameter));
  const groups = groupsOf(subject, probes).filter(({ length }) => length > 1);
  const right = new Set(groups.filter((group) => slopeAlong(subject, group).isRight).flat());
  const slopes = probes.filter((probe) => !right.has(probe)).map((one) => slopeOf(subject, one));
  const unread = slopes.filter(({ isRead }) => !isRead).map(({ name }) => name);
  const wrong = slopes.filter(({ isRight }) => !isRight);
  const found: PluginFinding[] = [];
  if (unread.length > 0) {
    const message = `the loss does not depend on ${listed(unread)}`;
    const hint =
      "use them in forward, or do not declare them; scope.unused names tensors that a checkpoint holds and the model does not read";
    found.push(fail(message, hint));
  }
  const [first] = wrong;
  if (first) {
    const { name, analytic, numeric } = first;
    const others = wrong.length === 1 ? "" : ` (and ${wrong.length - 1} more)`;
    const values = `backward gives ${shown(analytic)}, the loss changes by ${shown(numeric)}`;
    const hint =
      "compute with nn and ops alone: what calls pass.backend directly is not recorded, and an op must not overwrite what another one reads";
    found.push(fail(`the gradient of ${name}${others} is wrong: ${values}`, hint));
  }
  if (found.length > 0) return found;
  return [ok(`${counted(arena.parameters.length, "gradient")} equal the loss's slopes`)];
}

// --- internal ---

/** A parameter and the direction in which it is moved. */
interface Probe {
  readonly parameter: Parameter;
  readonly start: Float64Array;
  readonly direction: Float64Array;
  readonly gradient: Float64Array;
  /** The gradient's norm. */
  readonly norm: number;
}

function probeOf({ arena, backend }: Subject, parameter: Parameter): Probe {
  const gradient = Float64Array.from(backend.download(arena.partOf(arena.gradients, parameter)));
  const start = Float64Array.from(backend.download(parameter.buffer));
  const norm = Math.sqrt(dot(gradient, gradient));
  return { parameter, start, direction: unitVector(parameter), gradient, norm };
}

/**
 * Groups parameters whose gradient norms have the same power of ten. A table, some of whose rows
 * may have no gradient, and a parameter whose gradient is 0 are groups of their own.
 */
function groupsOf(subject: Subject, probes: readonly Probe[]): readonly Probe[][] {
  const groups = Map.groupBy(probes, ({ parameter, norm }) => {
    const isAlone = norm === 0 || isTable(subject, parameter);
    return isAlone ? parameter.name : Math.floor(Math.log10(norm));
  });
  return [...groups.values()];
}

interface Slope {
  readonly analytic: number;
  readonly numeric: number;
  readonly isRight: boolean;
}

/** The slope of the loss along the directions of all probes: by gradients, and by differences. */
function slopeAlong(subject: Subject, probes: readonly Probe[]): Slope {
  const analytic = probes.reduce(
    (sum, { direction, gradient }) => sum + dot(direction, gradient),
    0,
  );
  const smallest = Math.min(...probes.map(({ norm }) => norm));
  const allowed = TOLERANCE.relative * Math.max(smallest, 1e-3) + TOLERANCE.absolute;
  let [numeric, isRight] = [NaN, false];
  for (const step of STEPS) {
    numeric = (lossAt(subject, probes, step) - lossAt(subject, probes, -step)) / (2 * step);
    isRight = Math.abs(numeric - analytic) <= allowed;
    if (isRight) break;
  }
  return { analytic, numeric, isRight };
}

/** The loss with the parameters moved by a step along their directions, and then put back. */
function lossAt(subject: Subject, probes: readonly Probe[], step: number): number {
  const { backend } = subject;
  for (const { parameter, start, direction } of probes)
    backend.upload(
      parameter.buffer,
      start.map((x, i) => x + step * direction[i]!),
    );
  const loss = lossOf(subject);
  for (const { parameter, start } of probes) backend.upload(parameter.buffer, start);
  return loss;
}

/** The slope along one parameter, and whether the loss depends on it. */
function slopeOf(subject: Subject, probe: Probe) {
  const { parameter, direction, gradient, norm } = probe;
  const { name } = parameter;
  let result = slopeAlong(subject, [probe]);
  const isRead =
    norm > 0 ||
    result.numeric !== 0 ||
    lossAt(subject, [probe], 100) !== lossAt(subject, [probe], 0);
  if (!result.isRight && isTable(subject, parameter) && norm > 0) {
    const kept = withoutFrozenRows(direction, gradient, parameter);
    result = slopeAlong(subject, [{ ...probe, direction: kept }]);
  }
  return { name, ...result, isRead };
}

const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);

/** Whether a parameter may be an embedding table: a matrix that is no linear layer's. */
const isTable = ({ tree }: Subject, parameter: Parameter) =>
  parameter.shape.length === 2 &&
  ![...tree.linears.values()].some(({ weight }) => weight === parameter);

/** The direction without rows that have no gradient: a table's padding row is read, not trained. */
function withoutFrozenRows(
  direction: Float64Array,
  gradient: Float64Array,
  { shape }: Parameter,
): Float64Array {
  const width = shape[1] ?? 1;
  return direction.map((x, i) => {
    const row = Math.floor(i / width) * width;
    return gradient.subarray(row, row + width).some((value) => value !== 0) ? x : 0;
  });
}

/** A random direction of length 1. */
function unitVector({ name, length }: Parameter): Float64Array {
  const values = Float64Array.from(normals(length, 1, 3, streamOf(name)));
  const norm = Math.sqrt(dot(values, values));
  return values.map((x) => x / norm);
}

const shown = (value: number) => Number(value.toPrecision(4)).toString();
