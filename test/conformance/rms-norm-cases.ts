import { wave } from "../helpers/wave.ts";
import type { Bench } from "./bench.ts";
import type { Case } from "./cases.ts";
import { NORM_SIZES } from "./layer-norm-cases.ts";

const EPS = 1e-3;

function forward({ backend, input, output, inOut }: Bench, rows: number, cols: number) {
  const [x, weight] = [input("activation", wave(rows * cols, 1)), input("master", wave(cols, 2))];
  const rstd = output("rstd", "master", rows);
  const shape = { rows, cols, eps: EPS };
  backend.rmsNorm(x, weight, { y: output("y", "activation", rows * cols), rstd }, shape);
  const same = inOut("x in place", "activation", wave(rows * cols, 3));
  backend.rmsNorm(same, weight, { y: same, rstd: output("rstd again", "master", rows) }, shape);
}

function backward(bench: Bench, rows: number, cols: number, trained: boolean) {
  const { backend, input, output, inOut } = bench;
  const size = rows * cols;
  const [dy, x] = [input("activation", wave(size, 4)), input("activation", wave(size, 5))];
  const [weight, rstd] = [input("master", wave(cols, 6)), input("master", wave(rows, 7))];
  const dweight = trained ? inOut("dweight", "master", wave(cols, 8)) : undefined;
  const out = { dx: output("dx", "activation", size), dweight };
  backend.rmsNormBackward(dy, x, weight, rstd, out, { rows, cols });
  const same = inOut("dy in place", "activation", wave(size, 9));
  const inPlace = { dx: same, dweight: undefined };
  backend.rmsNormBackward(same, x, weight, rstd, inPlace, { rows, cols });
}

/** Root mean square normalisation, forward and backward. */
export const rmsNormCases: readonly Case[] = NORM_SIZES.flatMap(([rows, cols]): Case[] => [
  {
    name: `rmsNorm ${rows}x${cols}`,
    entry: "rmsNorm",
    run: (bench) => forward(bench, rows, cols),
  },
  {
    name: `rmsNormBackward ${rows}x${cols}`,
    entry: "rmsNormBackward",
    run: (bench) => backward(bench, rows, cols, false),
  },
  {
    name: `rmsNormBackward ${rows}x${cols}, trained`,
    entry: "rmsNormBackward",
    run: (bench) => backward(bench, rows, cols, true),
  },
]);
