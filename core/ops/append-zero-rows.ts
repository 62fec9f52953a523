import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";
import { matrixSize } from "./matrix-size.ts";

/** y = x with `rows` rows of zeros below it. x: [N, C]; y: [N + rows, C]. */
export const appendZeroRows = defineOp({
  name: "appendZeroRows",
  inputs: { x: "required" },

  forward(pass, { x }, { rows }: { rows: number }) {
    const [above, cols] = matrixSize("appendZeroRows", "x", x);
    const out = pass.allocate((above + rows) * cols);
    pass.backend.copy(pass.backend.view(out, 0, above * cols), x.buffer);
    pass.backend.zero(pass.backend.view(out, above * cols, rows * cols));
    return { shape: [above + rows, cols], out, saved: { length: above * cols }, keep: [] };
  },

  backward(pass, dy, { length }, { x: dx }) {
    if (!dx.needed) return;
    const out = pass.allocate(length);
    pass.backend.copy(out, pass.backend.view(dy, 0, length));
    dx.give(out);
  },
});

/** y = the first `rows` rows of x. x: [M, C]; y: [rows, C]. */
export const firstRows = defineOp({
  name: "firstRows",
  inputs: { x: "required" },

  forward(pass, { x }, { rows }: { rows: number }) {
    const [all, cols] = matrixSize("firstRows", "x", x);
    if (rows > all) throw errors.shape("firstRows", `x must have at least ${rows} rows`, { x });
    const out = pass.allocate(rows * cols);
    pass.backend.copy(out, pass.backend.view(x.buffer, 0, rows * cols));
    return { shape: [rows, cols], out, saved: { length: all * cols }, keep: [] };
  },

  backward(pass, dy, { length }, { x: dx }) {
    if (!dx.needed) return;
    const out = pass.allocate(length);
    pass.backend.copy(pass.backend.view(out, 0, dy.length), dy);
    pass.backend.zero(pass.backend.view(out, dy.length, length - dy.length));
    dx.give(out);
  },
});

/** y = the rows of x above those of `below`. x: [N, C]; below: [P, C]; y: [N + P, C]. */
export const concatRows = defineOp({
  name: "concatRows",
  inputs: { x: "required", below: "required" },

  forward(pass, { x, below }) {
    const [above, cols] = matrixSize("concatRows", "x", x);
    const [rows, others] = matrixSize("concatRows", "below", below);
    if (cols !== others)
      throw errors.shape("concatRows", "both must have the same columns", { x, below });
    const [length, rest] = [above * cols, rows * cols];
    const out = pass.allocate(length + rest);
    pass.backend.copy(pass.backend.view(out, 0, length), x.buffer);
    pass.backend.copy(pass.backend.view(out, length, rest), below.buffer);
    return { shape: [above + rows, cols], out, saved: { length, rest }, keep: [] };
  },

  backward(pass, dy, { length, rest }, { x: dx, below: dbelow }) {
    for (const [sink, offset, size] of [
      [dx, 0, length],
      [dbelow, length, rest],
    ] as const) {
      if (!sink.needed) continue;
      const out = pass.allocate(size);
      pass.backend.copy(out, pass.backend.view(dy, offset, size));
      sink.give(out);
    }
  },
});
