import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { inspectText } from "../../cli/inspect-text.ts";
import { product } from "../../core/matrix.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { canonical } from "../../core/model/export/canonical.ts";
import { incrementOf, scaledA } from "../../core/model/export/increment.ts";
import { inspectAdapter } from "../../core/run/inspect-adapter.ts";
import { fakeOutput } from "./fake-output.ts";

const dir = join(import.meta.dir, "../fixtures/io/peft-adalora");
const adapter = readPeftAdapter(dir);
const inspected = inspectAdapter({ adapter, dir, facts: undefined }, undefined);

describe("inspectAdapter", () => {
  test("a module's norm is that of its increment, and its singular values have that norm", () => {
    for (const found of inspected.modules) {
      const module = adapter.modules.find(({ path }) => path === found.path)!;
      const increment = incrementOf(adapter, module);
      const { values } = product(increment.b, scaledA(increment));
      const norm = increment.scale * Math.hypot(...values);
      expect(found.norm).toBeCloseTo(norm, 12);
      expect(found.singularValues).toHaveLength(found.rank);
      expect(found.share).toBeNull();
    }
  });

  test("of a canonical adapter, residuals are rounding errors", () => {
    const { modules } = inspectAdapter(
      { adapter: canonical(adapter), dir, facts: undefined },
      undefined,
    );
    for (const { residual } of modules) expect(Math.max(residual.p, residual.q)).toBeLessThan(1e-6);
    expect(Math.max(...inspected.modules.map(({ residual }) => residual.p))).toBeGreaterThan(1e-3);
  });

  test("counts E in the size of an AdaLoRA alone", () => {
    const { adalora, lora } = inspected.size;
    const ranks = inspected.modules.reduce((sum, { rank }) => sum + rank, 0);
    expect(adalora.parameters - lora.parameters).toBe(ranks);
    expect(adalora.bytes).toBe(4 * adalora.parameters);
  });
});

test("is read in 80 columns without colours", () => {
  const text = inspectText(inspected, fakeOutput({ columns: 80 }));
  expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(80);
  expect(text).not.toContain("\x1b");
  expect(text).toMatchInlineSnapshot(`
    "method                            AdaLoRA
    base model                        base
    as AdaLoRA                        896 parameters, 3.5 KiB
    as LoRA                           884 parameters, 3.5 KiB
    trained in full                   1,406 parameters, 5.5 KiB, 4 tensors
    orthogonality residual            P 3.8e-2, Q 5.4e-2

    layer    a    b    c    d    e    f    sum
        0   1░   2▒   1░   2▒   1░   0       7
        1   2▒   1░   1░   1░   0    0       5
      sum   3    3    2    3    1    0      12

    a  attention.output.dense
    b  attention.self.key_proj
    c  attention.self.query_proj
    d  attention.self.value_proj
    e  intermediate.dense
    f  output.dense

    12 of 48 ranks kept, 3 of 12 matrices at rank 0

      module                    rank     |dW|       P       Q  singular values
    0 attention.output.dense       1    0.363  1.5e-2  2.5e-2  0.363
    0 attention.self.key_proj      2    0.552  2.8e-2  3.3e-2  0.464 0.299
    0 attention.self.query_proj    1    0.364  2.8e-2  2.3e-2  0.364
    0 attention.self.value_proj    2    0.203  3.2e-2  3.4e-2  0.155 0.131
    0 intermediate.dense           1    0.222  1.9e-2  3.9e-2  0.222
    0 output.dense                 0        -       -       -
    1 attention.output.dense       2   0.0808  1.5e-2  5.4e-2  0.0607 0.0533
    1 attention.self.key_proj      1   0.0655  2.7e-2  2.1e-2  0.0655
    1 attention.self.query_proj    1    0.280  2.0e-2  7.8e-3  0.280
    1 attention.self.value_proj    1    0.297  3.8e-2  8.2e-3  0.297
    1 intermediate.dense           0        -       -       -
    1 output.dense                 0        -       -       -"
  `);
});
