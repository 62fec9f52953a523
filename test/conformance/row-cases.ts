import { wave } from "../helpers/wave.ts";
import type { Case } from "./cases.ts";
import { SIZES } from "./matrix-cases.ts";

/** Row indices below `limit`, some repeated. */
const ids = (n: number, limit: number) =>
  Int32Array.from({ length: n }, (_, i) => (i * 7 + 3) % limit);

/** A window of `width` rows around each row of a few sequences; -1 past a sequence's end. */
function neighbours(rows: number, width: number): Int32Array {
  const middle = Math.floor(width / 2);
  return Int32Array.from({ length: rows * width }, (_, i) => {
    const [row, at] = [Math.floor(i / width), Math.floor(i / width) + (i % width) - middle];
    return at >= 0 && at < rows && Math.floor(at / 10) === Math.floor(row / 10) ? at : -1;
  });
}

/** Frozen tables or another op's output, and trained tables. */
const tables = (["activation", "master"] as const).flatMap((role) =>
  SIZES.flatMap(([rows, cols]): Case[] => [
    {
      name: `gatherRows ${rows}x${cols} of ${role}`,
      entry: "gatherRows",
      run({ backend, input, output, inOut }) {
        const table = input(role, wave(11 * cols, 1));
        const rowIds = input("i32", ids(rows, 11));
        const y = output("y", "activation", rows * cols);
        backend.gatherRows(table, rowIds, y, { rows, cols, add: false });
        const sum = inOut("sum", "activation", wave(rows * cols, 2));
        backend.gatherRows(table, rowIds, sum, { rows, cols, add: true });
      },
    },
    {
      name: `scatterAddRows ${rows}x${cols} to ${role}`,
      entry: "scatterAddRows",
      run({ backend, input, inOut }) {
        const dy = input("activation", wave(rows * cols, 1));
        // Sums of many rows need the master dtype.
        const tableRows = role === "master" ? 5 : rows;
        const table = inOut("table", role, wave(tableRows * cols, 2));
        backend.scatterAddRows(dy, input("i32", ids(rows, tableRows)), table, rows, cols);
      },
    },
  ]),
);

const windows = SIZES.flatMap(([rows, cols]): Case[] =>
  [1, 3].flatMap((width): Case[] => [
    {
      name: `unfold ${rows}x${cols} width ${width}`,
      entry: "unfold",
      run({ backend, input, output }) {
        const x = input("activation", wave(rows * cols, 1));
        const y = output("y", "activation", rows * cols * width);
        backend.unfold(x, input("i32", neighbours(rows, width)), y, { rows, cols, width });
      },
    },
    {
      name: `foldAdd ${rows}x${cols} width ${width}`,
      entry: "foldAdd",
      run({ backend, input, inOut }) {
        const dy = input("activation", wave(rows * cols * width, 1));
        const dx = inOut("dx", "activation", wave(rows * cols, 2));
        backend.foldAdd(dy, input("i32", neighbours(rows, width)), dx, { rows, cols, width });
      },
    },
  ]),
);

/** A batch whose tokens are all padding, or queries of which none has a key in its window. */
const nothing: Case = {
  name: "no rows of a table",
  entry: "gatherRows",
  run({ backend, input, inOut, output }) {
    const [none, shape] = [input("i32", []), { rows: 0, cols: 5, add: false }];
    const y = output("y", "activation", 0);
    backend.gatherRows(input("activation", wave(15, 1)), none, y, shape);
    backend.scatterAddRows(y, none, inOut("table", "master", wave(15, 2)), 0, 5);
  },
};

/** Kernels that move rows. */
export const rowCases: readonly Case[] = [...tables, ...windows, nothing];
