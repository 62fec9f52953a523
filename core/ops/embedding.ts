import { errors } from "../errors.ts";
import { defineOp } from "../op.ts";
import { matrixSize } from "./matrix-size.ts";

interface Attrs {
  /** [N], integers below V. */
  readonly ids: Int32Array;
  /** Lookups of this id add nothing to the gradient of its row, as torch's padding_idx. */
  readonly paddingId: number;
  readonly scale: number;
}

/**
 * y[r] = scale * table[ids[r]] (+ base[r], at scale 1). table: [V, C]; base, y: [N, C]. Overwrites
 * base, whose buffer becomes the output. Saves only ids.
 * For tables whose padding row is not trained; `gatherRows` is the plain lookup.
 */
export const embedding = defineOp({
  name: "embedding",
  inputs: { table: "required", base: "optional" },

  forward(pass, { table, base }, { ids, scale }: Attrs) {
    const [rows, [, cols]] = [ids.length, matrixSize("embedding", "table", table)];
    if (base && (base.shape[0] !== rows || base.shape[1] !== cols || scale !== 1)) {
      const rule = "base must be [N, C] for a table of [V, C], at scale 1";
      throw errors.shape("embedding", rule, { table, base });
    }
    const out = base ? base.buffer : pass.allocate(rows * cols);
    const shape = { rows, cols, add: base !== undefined };
    pass.backend.gatherRows(table.buffer, pass.integers(ids), out, shape);
    if (scale !== 1) pass.backend.scale(out, scale, out);
    return { shape: [rows, cols], out, saved: { cols }, keep: [] };
  },

  backward(pass, dy, { cols }, { table: dtable, base: dbase }, { ids, paddingId, scale }) {
    if (dbase.needed) dbase.give(dy);
    if (!dtable.needed) return;
    const { backend } = pass;
    const counted = [...ids.keys()].filter((row) => ids[row] !== paddingId);
    const rows = counted.length;
    const gradient = pass.allocate(rows * cols);
    backend.gatherRows(dy, pass.integers(counted), gradient, { rows, cols, add: false });
    if (scale !== 1) backend.scale(gradient, scale, gradient);
    const tableRows = pass.integers(counted.map((row) => ids[row] ?? paddingId));
    backend.scatterAddRows(gradient, tableRows, dtable.accumulateZeroed(), rows, cols);
  },
});
