import type { Dropout } from "../../core/kernels/elementwise.ts";
import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";
import { dropouts } from "./elementwise-cases.ts";
import { SIZES } from "./matrix-cases.ts";

interface Variant {
  readonly note: string;
  readonly residual: boolean;
  readonly dropout: Dropout | undefined;
  readonly withoutBias?: boolean;
}

const VARIANTS: readonly Variant[] = [
  { note: "", residual: false, dropout: undefined },
  { note: ", residual", residual: true, dropout: undefined },
  { note: ", residual, dropout", residual: true, dropout: dropouts[0] },
  { note: ", dropout", residual: false, dropout: dropouts[1] },
  { note: ", without bias", residual: false, dropout: undefined, withoutBias: true },
];

/**
 * Includes long rows, whose masks are drawn in strips, and rows of one column, whose variance is 0:
 * only eps keeps them finite.
 */
export const NORM_SIZES = [...SIZES, [3, 1000], [2, 1030], [25, 768]] as const;
const EPS = 1e-3;

function forward({ backend, input, output, inOut }: Bench, rows: number, cols: number, v: Variant) {
  // Far from 0, where a one-pass variance would lose precision; not without bias, where y is smaller
  // and the tolerance with it: f32 sums in order, as sanitized kernels have them, err by more.
  const offset = v.withoutBias ? 0 : 3;
  const x = inOut(
    "sum",
    "activation",
    wave(rows * cols, 1).map((value) => value + offset),
  );
  const residual = v.residual ? input("activation", wave(rows * cols, 2)) : undefined;
  const out = {
    y: output("y", "activation", rows * cols),
    mean: output("mean", "master", rows),
    rstd: output("rstd", "master", rows),
  };
  const shape = { rows, cols, eps: EPS, dropout: v.dropout };
  const weight = input("master", wave(cols, 3));
  const bias = v.withoutBias ? undefined : input("master", wave(cols, 4));
  backend.addLayerNorm(x, residual, weight, bias, out, shape);
}

function backward(bench: Bench, rows: number, cols: number, v: Variant, trained: boolean) {
  const { backend, input, output, inOut } = bench;
  const size = rows * cols;
  // Every dtype represents multiples of 1/64 exactly: the mean below is that of the kernel's input.
  const x = wave(size, 1).map((value) => Math.round(64 * value) / 64);
  const mean = Float64Array.from({ length: rows }, (_, r) =>
    x.subarray(r * cols, (r + 1) * cols).reduce((sum, value) => sum + value / cols, 0),
  );
  const stats = { mean: input("master", mean), rstd: input("master", wave(rows, 5)) };
  const out = {
    dsum: output("dsum", "activation", size),
    dx: v.dropout ? output("dx", "activation", size) : undefined,
    dweight: trained ? inOut("dweight", "master", wave(cols, 6)) : undefined,
    dbias: trained && !v.withoutBias ? inOut("dbias", "master", wave(cols, 7)) : undefined,
  };
  const [dy, sum] = [input("activation", wave(size, 8)), input("activation", x)];
  const weight = input("master", wave(cols, 9));
  const shape = { rows, cols, dropout: v.dropout };
  backend.addLayerNormBackward(dy, sum, weight, stats, out, shape);
  const same = inOut("dy in place", "activation", wave(size, 8));
  const inPlace = { dsum: same, dx: undefined, dweight: undefined, dbias: undefined };
  backend.addLayerNormBackward(same, sum, weight, stats, inPlace, shape);
}

/** LayerNorm, forward and backward. */
export const layerNormCases: readonly Case[] = NORM_SIZES.flatMap(([rows, cols]) =>
  VARIANTS.flatMap((variant): Case[] => [
    {
      name: `addLayerNorm ${rows}x${cols}${variant.note}`,
      entry: "addLayerNorm",
      run: (bench) => forward(bench, rows, cols, variant),
    },
    {
      name: `addLayerNormBackward ${rows}x${cols}${variant.note}`,
      entry: "addLayerNormBackward",
      run: (bench) => backward(bench, rows, cols, variant, false),
    },
    {
      name: `addLayerNormBackward ${rows}x${cols}${variant.note}, trained`,
      entry: "addLayerNormBackward",
      run: (bench) => backward(bench, rows, cols, variant, true),
    },
  ]),
);
