import { describe, expect, test } from "bun:test";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import bert from "../../examples/plugins/bert.ts";
import distilbert from "../../examples/plugins/distilbert.ts";
import eurobert from "../../examples/plugins/eurobert.ts";
import roberta from "../../examples/plugins/roberta.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { available } from "../helpers/available.ts";
import { computeCase, errorsOf, readFamilyGolden } from "../helpers/family-golden.ts";

const { backend: cpu, reason } = await available(() => createCpuBackend({ threads: 1 }));
type Open = () => Backend | Promise<Backend>;
const backends: readonly (readonly [
  name: string,
  open: Open,
  outputs: number,
  gradients: number,
])[] = [
  ["reference", createReferenceBackend, 1e-12, 1e-12],
  ["cpu", () => createCpuBackend({ threads: 1 }), 1e-5, 2e-5],
  ["cpu in bf16", () => createCpuBackend({ threads: 1, dtype: "bf16" }), 0.1, 0.3],
];

const families = [
  ["bert", bert],
  ["roberta", roberta],
  ["distilbert", distilbert],
  ["eurobert", eurobert],
  ["eurobert-late", eurobert],
  ["eurobert-mean", eurobert],
] as const;

for (const [family, plugin] of families)
  for (const [name, open, outputs, gradients] of backends)
    describe.skipIf(name !== "reference" && !cpu)(
      `${family} computes what transformers does: ${name}${cpu ? "" : ` (${reason})`}`,
      () => {
        const golden = readFamilyGolden(family);
        test.each(Object.keys(golden.keys))("%s", async (task) => {
          const computed = computeCase(await open(), plugin, golden, task);
          const worst = errorsOf(computed, golden, task);
          expect(worst.outputs.error, worst.outputs.tensor).toBeLessThan(outputs);
          expect(worst.gradients.error, worst.gradients.tensor).toBeLessThan(gradients);
        });
      },
    );
