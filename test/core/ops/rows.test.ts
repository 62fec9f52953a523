import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { appendZeroRows, firstRows } from "../../../core/ops/append-zero-rows.ts";
import { gatherRows } from "../../../core/ops/gather-rows.ts";
import { unfold } from "../../../core/ops/unfold.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { integers } from "../../helpers/upload.ts";

const repeated = [2, 0, 2, 3, 2]; // row 1 is never read, row 2 three times

describe("gatherRows", () => {
  test("gradients equal central differences, ids repeat", () =>
    gradcheck("gatherRows", {
      inputs: { table: [4, 3] },
      build: (pass, inputs) => gatherRows(pass, inputs, { ids: pass.integers(repeated) }),
    }));

  test("gradients equal central differences with a base, which is overwritten", () =>
    gradcheck("gatherRows", {
      inputs: { table: [4, 3], base: [5, 3] },
      overwrites: ["base"],
      build: (pass, inputs) => gatherRows(pass, inputs, { ids: pass.integers(repeated) }),
    }));

  test("two tables of one sum, the second with the first as its base", () =>
    gradcheck("gatherRows", {
      inputs: { words: [4, 3], positions: [5, 3] },
      build(pass, { words, positions }) {
        const x = gatherRows(pass, { table: words }, { ids: pass.integers(repeated) });
        return gatherRows(
          pass,
          { table: positions, base: x },
          { ids: pass.integers([0, 1, 0, 1, 2]) },
        );
      },
    }));

  test("a base of the wrong shape is named", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    const gather = () =>
      pass.scope(() => {
        const [table, base] = [tensor(backend, [4, 3], 0), tensor(backend, [4, 3], 0)];
        gatherRows(pass, { table, base }, { ids: pass.integers(repeated) });
      });
    expect(gather).toThrow(
      "[gatherRows] base must be [N, C] for a table of [V, C]: got table [4, 3], base [4, 3]",
    );
  });
});

describe("unfold", () => {
  const neighbours = [-1, 0, 1, 0, 1, 2, 1, 2, -1, -1, 3, -1]; // sequences of 3 rows and 1

  test("gradients equal central differences, borders included", () =>
    gradcheck("unfold", {
      inputs: { x: [4, 2] },
      build: (pass, inputs) =>
        unfold(pass, inputs, { neighbours: pass.integers(neighbours), width: 3 }),
    }));

  test("windows are ordered by channel, with zeros beyond the borders", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const x = tensor(backend, [4, 2], 0, [1, 10, 2, 20, 3, 30, 4, 40]);
      const y = unfold(pass, { x }, { neighbours: integers(backend, neighbours), width: 3 });
      expect(y.shape).toEqual([4, 6]);
      const rows = [
        [0, 1, 2, 0, 10, 20],
        [1, 2, 3, 10, 20, 30],
        [2, 3, 0, 20, 30, 0],
        [0, 4, 0, 0, 40, 0],
      ];
      expect(Array.from(backend.download(y.buffer))).toEqual(rows.flat());
    });
  });

  test("neighbours for a wrong number of rows are named", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    const unfolded = () =>
      pass.scope(() => {
        unfold(
          pass,
          { x: tensor(backend, [5, 2], 0) },
          { neighbours: pass.integers(neighbours), width: 3 },
        );
      });
    expect(unfolded).toThrow(
      "[unfold] neighbours must be [N * 3] for x of [N, C]: got x [5, 2], neighbours [12]",
    );
  });
});

describe("padding rows", () => {
  test("appendZeroRows: gradients equal central differences", () =>
    gradcheck("appendZeroRows", {
      inputs: { x: [3, 2] },
      build: (pass, inputs) => appendZeroRows(pass, inputs, { rows: 2 }),
    }));

  test("firstRows: gradients equal central differences, zero below", () =>
    gradcheck("firstRows", {
      inputs: { x: [5, 2] },
      build: (pass, inputs) => firstRows(pass, inputs, { rows: 3 }),
    }));

  test("firstRows undoes appendZeroRows", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const x = tensor(backend, [3, 2], 0);
      const longer = appendZeroRows(pass, { x }, { rows: 2 });
      expect(longer.shape).toEqual([5, 2]);
      const values = Array.from(backend.download(x.buffer));
      expect(Array.from(backend.download(longer.buffer))).toEqual([...values, 0, 0, 0, 0]);
      const back = firstRows(pass, { x: longer }, { rows: 3 });
      expect(Array.from(backend.download(back.buffer))).toEqual(values);
    });
  });
});
