import { wave } from "../helpers/wave.ts";
import type { Case } from "./cases.ts";

/** [rows, heads, head dim, rotated columns of a head, row stride] */
const SHAPES = [
  [1, 1, 2, 2, 2],
  [5, 2, 4, 4, 8],
  [9, 3, 6, 4, 23],
  [33, 2, 32, 32, 96],
  [40, 4, 64, 64, 384],
  [21, 3, 80, 40, 240],
] as const;

/** Rotary position embedding, forward and inverse. */
export const rotaryCases: readonly Case[] = SHAPES.flatMap(
  ([rows, heads, headDim, rotated, stride]) =>
    [false, true].map((inverse): Case => ({
      name: `rotate ${rows}x${stride}: ${heads} heads of ${headDim}, ${rotated} rotated${inverse ? ", inverse" : ""}`,
      entry: "rotate",
      run({ backend, input, inOut }) {
        const positions = Int32Array.from({ length: rows }, (_, r) => (r * 7) % (rows + 3));
        const entries = ((rows + 3) * rotated) / 2;
        const tables = {
          cos: input("master", wave(entries, 1)),
          sin: input("master", wave(entries, 2)),
          rows: rows + 3,
          rotated,
        };
        const x = inOut("x", "activation", wave(rows * stride, 3));
        const shape = { rows, heads, headDim, stride, inverse };
        backend.rotate(x, input("i32", positions), tables, shape);
      },
    })),
);
