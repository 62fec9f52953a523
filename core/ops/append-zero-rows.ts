import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/** y = x with rows of zeros below it. x: [N, C]; y: [N + rows, C]. */
export const appendZeroRows = defineOp({
  name: "appendZeroRows",

  forward(run, [x]: readonly [Tensor], { rows }: { rows: number }) {
    const [above, cols] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    const out = run.allocate((above + rows) * cols);
    run.backend.copy(run.backend.view(out, 0, above * cols), x.buffer);
    run.backend.zero(run.backend.view(out, above * cols, rows * cols));
    return { shape: [above + rows, cols], out, saved: { length: above * cols }, keep: [] };
  },

  backward(run, dy, { length }, [dx]) {
    if (!dx.needed) return;
    const out = run.allocate(length);
    run.backend.copy(out, run.backend.view(dy, 0, length));
    dx.give(out);
  },
});

/** y = the first rows of x. x: [M, C]; y: [rows, C]. */
export const firstRows = defineOp({
  name: "firstRows",

  forward(run, [x]: readonly [Tensor], { rows }: { rows: number }) {
    const cols = x.shape[1] ?? 0;
    const out = run.allocate(rows * cols);
    run.backend.copy(out, run.backend.view(x.buffer, 0, rows * cols));
    return { shape: [rows, cols], out, saved: { all: (x.shape[0] ?? 0) * cols }, keep: [] };
  },

  backward(run, dy, { all }, [dx]) {
    if (!dx.needed) return;
    const out = run.allocate(all);
    run.backend.copy(run.backend.view(out, 0, dy.length), dy);
    run.backend.zero(run.backend.view(out, dy.length, all - dy.length));
    dx.give(out);
  },
});
