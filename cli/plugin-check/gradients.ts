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
 * looks for parameters that the loss does not depend on.
 */
export function checkGradients(subject: Subject): PluginFinding[] {
  const { arena, backend } = subject;
  const { gradients } = gradientsOf(subject);
  backend.upload(arena.gradients, gradients);
  const slopes = arena.parameters.map((parameter) => slopeOf(subject, parameter));
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
  return [ok(`${counted(slopes.length, "gradient")} equal the loss's slopes`)];
}

// --- internal ---

interface Slope {
  readonly name: string;
  readonly analytic: number;
  readonly numeric: number;
  readonly isRight: boolean;
  readonly isRead: boolean;
}

function slopeOf(subject: Subject, parameter: Parameter): Slope {
  const { arena, backend } = subject;
  const { name } = parameter;
  const gradient = Float64Array.from(backend.download(arena.partOf(arena.gradients, parameter)));
  const start = Float64Array.from(backend.download(parameter.buffer));
  const norm = Math.sqrt(gradient.reduce((sum, x) => sum + x * x, 0));
  const allowed = TOLERANCE.relative * Math.max(norm, 1e-3) + TOLERANCE.absolute;
  const at = (step: number, direction: Float64Array) => {
    const moved = start.map((x, i) => x + step * direction[i]!);
    backend.upload(parameter.buffer, moved);
    return lossOf(subject);
  };
  const compare = (direction: Float64Array) => {
    const analytic = direction.reduce((sum, x, i) => sum + x * gradient[i]!, 0);
    let [numeric, isRight] = [NaN, false];
    for (const step of STEPS) {
      numeric = (at(step, direction) - at(-step, direction)) / (2 * step);
      isRight = Math.abs(numeric - analytic) <= allowed;
      if (isRight) break;
    }
    return { analytic, numeric, isRight };
  };
  const direction = unitVector(parameter);
  let result = compare(direction);
  const isRead = norm > 0 || result.numeric !== 0 || at(100, direction) !== at(0, direction);
  if (!result.isRight && isTable(subject, parameter) && norm > 0)
    result = compare(withoutFrozenRows(direction, gradient, parameter));
  backend.upload(parameter.buffer, start);
  return { name, ...result, isRead };
}

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
  const norm = Math.sqrt(values.reduce((sum, x) => sum + x * x, 0));
  return values.map((x) => x / norm);
}

const shown = (value: number) => Number(value.toPrecision(4)).toString();
