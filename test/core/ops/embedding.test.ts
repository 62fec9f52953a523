import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { embedding } from "../../../core/ops/embedding.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { Parameter } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { product } from "../../helpers/ops.ts";
import { tensor } from "../../helpers/tensors.ts";
import { masters } from "../../helpers/upload.ts";

const backend = createReferenceBackend();

describe("embedding", () => {
  for (const scale of [1, 2.5])
    test(`gradients equal central differences, ids repeat, scale ${scale}`, () =>
      gradcheck("embedding", {
        inputs: { table: [4, 3] },
        build: (pass, inputs) =>
          embedding(pass, inputs, { ids: Int32Array.of(2, 0, 2, 3, 2), paddingId: -1, scale }),
      }));

  test("gradients equal central differences, on a base", () =>
    gradcheck("embedding", {
      inputs: { table: [4, 3], base: [3, 3] },
      overwrites: ["base"],
      build: (pass, inputs) =>
        embedding(pass, inputs, { ids: Int32Array.of(2, 0, 2), paddingId: -1, scale: 1 }),
    }));

  test("a base of scaled rows is refused", () => {
    const pass = new ForwardPass(backend, { training: false });
    const [table, base] = [tensor(backend, [3, 2], 0), tensor(backend, [1, 2], 0)];
    const lookUp = () =>
      embedding(pass, { table, base }, { ids: Int32Array.of(0), paddingId: 1, scale: 2 });
    expect(lookUp).toThrow("[embedding] base must be [N, C] for a table of [V, C], at scale 1");
  });

  test("rows are scaled", () => {
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const table = tensor(backend, [3, 2], 0, [1, 2, 3, 4, 5, 6]);
      const y = embedding(pass, { table }, { ids: Int32Array.of(2, 0), paddingId: 0, scale: 10 });
      expect([...backend.download(y.buffer)]).toEqual([50, 60, 10, 20]);
    });
  });

  for (const ids of [
    [1, 0, 1, 2],
    [1, 1, 1, 1],
  ])
    test(`lookups of the padding id add nothing to its row: ${ids.join(", ")}`, () => {
      const table = new Parameter("table", [3, 1]);
      table.buffer = masters(backend, [1, 2, 3]);
      table.grad = masters(backend, [100, 200, 300]);
      table.requiresGrad = true;
      const pass = new ForwardPass(backend, { training: true });
      pass.scope(() => {
        const y = embedding(pass, { table }, { ids: Int32Array.from(ids), paddingId: 1, scale: 2 });
        const loss = product(pass, { y }, { cotangent: masters(backend, [1, 2, 4, 8]) });
        pass.tape.backward(loss, 1);
      });
      const expected = ids.includes(0) ? [104, 200, 316] : [100, 200, 300];
      expect([...backend.download(table.grad)]).toEqual(expected);
    });

  test("a table without columns is named", () => {
    const pass = new ForwardPass(backend, { training: false });
    const table = tensor(backend, [3], 0);
    const lookUp = () =>
      embedding(pass, { table }, { ids: Int32Array.of(0), paddingId: 1, scale: 1 });
    expect(lookUp).toThrow("[embedding] table must be a matrix: got table [3]");
  });
});
