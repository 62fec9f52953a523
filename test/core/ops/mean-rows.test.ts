import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { concatRows } from "../../../core/ops/append-zero-rows.ts";
import { meanRows } from "../../../core/ops/mean-rows.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { available } from "../../helpers/available.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";

const offsets = Int32Array.of(0, 3, 4, 6);

describe("meanRows", () => {
  test("gradients equal central differences", () =>
    gradcheck("meanRows", {
      inputs: { x: [6, 3] },
      build: (pass, { x }) => meanRows(pass, { x }, { offsets }),
    }));

  test("is the mean of each sequence's rows", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const x = tensor(backend, [6, 2], 0, [1, 10, 2, 20, 6, 30, -4, 5, 7, 1, 8, 2]);
      const out = backend.download(meanRows(pass, { x }, { offsets }).buffer);
      expect(Array.from(out)).toEqual([3, 20, -4, 5, 7.5, 1.5]);
    });
  });

  test("of another number of rows is refused by name", () => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const x = tensor(backend, [5, 2], 0);
      expect(() => meanRows(pass, { x }, { offsets })).toThrow(
        "[meanRows] x must be [6, C]: got x [5, 2]",
      );
    });
  });
});

const { backend: cpu, reason } = await available(() =>
  createCpuBackend({ threads: 1, dtype: "bf16" }),
);
test.skipIf(!cpu)(`meanRows sums bf16 rows in float32${cpu ? "" : ` (${reason})`}`, () => {
  if (!cpu) return;
  const pass = new ForwardPass(cpu, { training: false });
  pass.scope(() => {
    const x = pass.allocate(3);
    cpu.upload(x, [256, 1, 1]); // in bf16, 256 + 1 is 256
    const { buffer } = meanRows(
      pass,
      { x: { shape: [3, 1], buffer: x, requiresGrad: false } },
      { offsets: Int32Array.of(0, 3) },
    );
    expect(cpu.download(buffer)[0]).toBe(86);
  });
});

test("concatRows: gradients equal central differences", () =>
  gradcheck("concatRows", {
    inputs: { x: [3, 2], below: [2, 2] },
    build: (pass, { x, below }) => concatRows(pass, { x, below }, {}),
  }));
