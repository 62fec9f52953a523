import type { ActivationKind, Dropout } from "../../core/kernels/elementwise.ts";
import { wave } from "../helpers/wave.ts";
import type { Case } from "./cases.ts";
import { SIZES } from "./matrix-cases.ts";

const LENGTHS = [1, 15, 16, 17, 31, 32, 33, 100, 40_001];
/** Every activation function. */
export const KINDS: readonly ActivationKind[] = ["gelu", "gelu_new", "relu", "silu", "tanh"];

/**
 * Values between -9 and 9, which covers the curved part of every activation, with some exact zeros.
 */
export const wide = (length: number, phase: number) =>
  wave(length, phase).map((x, i) => (i % 13 === 5 ? 0 : x * 8.2 * Math.abs(Math.sin(i))));

/** Dropout settings at both ends and between. */
export const dropouts: readonly Dropout[] = [
  { probability: 0.1, seed: [1, 2], step: 3, site: 4 },
  { probability: 0.5, seed: [0xffff_fff0, 0x8000_0001], step: 0xffff_ffff, site: 0x9000_0000 },
  { probability: 0, seed: [5, 0], step: 0, site: 0 },
];

const flat: Case[] = LENGTHS.flatMap((n): Case[] => [
  {
    name: `add ${n}`,
    entry: "add",
    run({ backend, input, inOut }) {
      backend.add(inOut("y", "activation", wave(n, 1)), input("activation", wave(n, 2)));
    },
  },
  {
    name: `scale ${n}`,
    entry: "scale",
    run({ backend, input, output, inOut }) {
      backend.scale(input("activation", wave(n, 1)), 0.3, output("y", "activation", n));
      const same = inOut("x in place", "activation", wave(n, 2));
      backend.scale(same, -7, same);
    },
  },
  {
    name: `scaleBy ${n}`,
    entry: "scaleBy",
    run({ backend, input, output, inOut }) {
      const s = input("master", [-2.5]);
      backend.scaleBy(input("activation", wave(n, 1)), s, output("y", "activation", n));
      const same = inOut("x in place", "activation", wave(n, 2));
      backend.scaleBy(same, s, same);
    },
  },
  {
    name: `absolute ${n}`,
    entry: "absolute",
    run({ backend, input, output }) {
      backend.absolute(input("master", wave(n, 1)), output("y", "master", n));
    },
  },
]);

const activations: Case[] = KINDS.flatMap((kind) =>
  LENGTHS.flatMap((n): Case[] => [
    {
      name: `activate ${kind} ${n}`,
      entry: "activate",
      run({ backend, input, output, inOut }) {
        backend.activate(kind, input("activation", wide(n, 1)), output("y", "activation", n));
        const same = inOut("x in place", "activation", wide(n, 2));
        backend.activate(kind, same, same);
      },
    },
    {
      name: `activationBackward ${kind} ${n}`,
      entry: "activationBackward",
      run({ backend, input, output, inOut }) {
        const x = input("activation", wide(n, 1));
        const dy = input("activation", wave(n, 2));
        backend.activationBackward(kind, x, dy, output("dx", "activation", n));
        const same = inOut("dy in place", "activation", wave(n, 3));
        backend.activationBackward(kind, x, same, same);
      },
    },
  ]),
);

const masks: Case[] = dropouts.flatMap((dropout) =>
  [...SIZES, [2, 1100] as const].map(([rows, cols]): Case => ({
    name: `dropout ${dropout.probability} ${rows}x${cols}`,
    entry: "dropout",
    run({ backend, input, output, inOut }) {
      // All-ones input exposes the mask itself.
      const ones = input("activation", new Float64Array(rows * cols).fill(1));
      const mask = output("mask", "activation", rows * cols);
      backend.dropout(ones, mask, rows, cols, dropout);
      const same = inOut("x in place", "activation", wave(rows * cols, 2));
      backend.dropout(same, same, rows, cols, dropout);
    },
  })),
);

const sums: Case[] = [undefined, ...dropouts].flatMap((dropout) =>
  [...SIZES, [2, 1100] as const].map(([rows, cols]): Case => ({
    name: `addDropout ${dropout?.probability ?? "none"} ${rows}x${cols}`,
    entry: "addDropout",
    run({ backend, input, output, inOut }) {
      const [size, shape] = [rows * cols, { rows, cols, dropout }];
      const [x, residual] = [
        input("activation", wave(size, 1)),
        input("activation", wave(size, 2)),
      ];
      backend.addDropout(x, residual, output("y", "activation", size), shape);
      const same = inOut("x in place", "activation", wave(size, 3));
      backend.addDropout(same, residual, same, shape);
      const sum = inOut("residual in place", "activation", wave(size, 4));
      backend.addDropout(x, sum, sum, shape);
    },
  })),
);

/** Element-wise kernels. */
export const elementwiseCases: readonly Case[] = [...flat, ...activations, ...masks, ...sums];
