import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { applyAdapter } from "../../../core/model/adapter-files.ts";
import type { DeclaredModel } from "../../../core/model/open-model.ts";
import { declareFused, fusedAdapter, loadFused } from "../../helpers/fused-adapter.ts";
import { packGolden, readGoldenCase, tensorOf } from "../../../core/model/golden-case.ts";

const backend = createReferenceBackend();
const golden = readGoldenCase(join(import.meta.dir, "../../golden/cases/07-modernbert-cls"));
const batch = packGolden(
  tensorOf(golden, "input.input_ids"),
  tensorOf(golden, "input.attention_mask"),
  undefined,
);
// Made by test/oracle/modernbert_in_peft.py.
const file = join(import.meta.dir, "../../fixtures/modernbert/peft-logits.json");
const peft: Record<string, number[]> = JSON.parse(readFileSync(file, "utf8"));

function logits({ model }: Pick<DeclaredModel, "model">): number[] {
  let values: number[] = [];
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    values = Array.from(backend.download(model.forward(pass, batch).buffer));
  });
  return values;
}

describe.each(["adalora", "lora"] as const)("adapters of query, key and value: %s", (method) => {
  const { adapted, adapter } = fusedAdapter(backend, method);
  const expected = peft[method] ?? [];

  test("give the logits of real PEFT, which reads them as one adapter of Wqkv", () => {
    const got = logits(adapted);
    expect(got).toHaveLength(expected.length);
    got.forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 10));
    expect(Math.abs(got[0]! - tensorOf(golden, "out.logits").values[0]!)).toBeGreaterThan(0.01);
  });

  test("give the same logits when their file is read back, one adapter per part", () => {
    const read = declareFused();
    loadFused(backend, read);
    const attached = applyAdapter(backend, read, adapter, "the adapter");
    const paths = attached.map(({ path }) => path);
    expect(paths).toContain("model.layers.0.attn.Wqkv.query");
    expect(new Set(paths).size).toBe(paths.length);
    logits(read).forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 10));
  });
});
