import type { Buffer } from "../backend.ts";
import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";
import { matrixSize } from "./matrix-size.ts";

/**
 * y[r] = table[ids[r]] (+ base[r]). table: [V, C]; ids: [N], integers; base: [N, C]; y: [N, C].
 * Overwrites base, whose buffer becomes the output. For embeddings and to select rows.
 */
export const gatherRows = defineOp({
  name: "gatherRows",
  inputs: { table: "required", base: "optional" },

  forward(pass, { table, base }, { ids }: { ids: Buffer }) {
    const [rows, [, cols]] = [ids.length, matrixSize("gatherRows", "table", table)];
    if (base && (base.shape[0] !== rows || base.shape[1] !== cols)) {
      throw errors.shape("gatherRows", "base must be [N, C] for a table of [V, C]", {
        table,
        base,
      });
    }
    const out = base ? base.buffer : pass.allocate(rows * cols);
    pass.backend.gatherRows(table.buffer, ids, out, { rows, cols, add: base !== undefined });
    return { shape: [rows, cols], out, saved: { rows, cols }, keep: [ids] };
  },

  backward(pass, dy, { rows, cols }, { table: dtable, base: dbase }, { ids }) {
    if (dtable.needed) pass.backend.scatterAddRows(dy, ids, dtable.accumulateZeroed(), rows, cols);
    if (dbase.needed) dbase.give(dy);
  },
});
