import type { ActivationKind } from "../../core/kernels/elementwise.ts";
import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";
import { KINDS, wide } from "./elementwise-cases.ts";
import { SIZES } from "./matrix-cases.ts";

interface Variant {
  readonly kind: ActivationKind;
  readonly rows: number;
  readonly cols: number;
  /** Both operands are halves of one matrix. */
  readonly packed: boolean;
}

/** The two halves of a matrix [rows, 2 * cols]. */
function halves({ backend }: Bench, whole: ReturnType<Bench["input"]>, cols: number) {
  return { x: whole, gate: backend.view(whole, cols, whole.length - cols) };
}

function inputsOf(bench: Bench, { rows, cols, packed }: Variant) {
  const [size, { input }] = [rows * cols, bench];
  if (packed) return halves(bench, input("activation", wide(2 * size, 1)), cols);
  return { x: input("activation", wide(size, 1)), gate: input("activation", wave(size, 2)) };
}

const shapeOf = ({ rows, cols, packed }: Variant) => ({
  rows,
  cols,
  stride: packed ? 2 * cols : cols,
});

function forward(bench: Bench, variant: Variant) {
  const { kind, rows, cols } = variant;
  const y = bench.output("y", "activation", rows * cols);
  bench.backend.gatedActivation(kind, inputsOf(bench, variant), y, shapeOf(variant));
}

function backward(bench: Bench, variant: Variant) {
  const { kind, rows, cols, packed } = variant;
  const { backend, input, output, inOut } = bench;
  const [size, shape] = [rows * cols, shapeOf(variant)];
  const dy = input("activation", wave(size, 3));
  const grads = packed
    ? halves(bench, output("dx", "activation", 2 * size), cols)
    : { x: output("dx", "activation", size), gate: output("dgate", "activation", size) };
  backend.gatedActivationBackward(kind, dy, inputsOf(bench, variant), grads, shape);
  if (!packed) return;
  const same = halves(bench, inOut("x in place", "activation", wide(2 * size, 4)), cols);
  backend.gatedActivationBackward(kind, dy, same, same, shape);
}

const VARIANTS: readonly Variant[] = KINDS.flatMap((kind) =>
  [...SIZES, [3, 1100] as const].flatMap(([rows, cols]) =>
    [false, true].map((packed) => ({ kind, rows, cols, packed })),
  ),
);

/** Gated activations, forward and backward. */
export const gatedActivationCases: readonly Case[] = VARIANTS.flatMap((variant): Case[] => {
  const { kind, rows, cols, packed } = variant;
  const note = `${kind} ${rows}x${cols}${packed ? ", packed" : ""}`;
  return [
    {
      name: `gatedActivation ${note}`,
      entry: "gatedActivation",
      run: (bench) => forward(bench, variant),
    },
    {
      name: `gatedActivationBackward ${note}`,
      entry: "gatedActivationBackward",
      run: (bench) => backward(bench, variant),
    },
  ];
});
