import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { readPeftAdapter, writePeftAdapter } from "../../../core/io/peft.ts";
import { applyAdapter } from "../../../core/model/adapter-files.ts";
import type { TaskHead } from "../../../core/model/plugin.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { loadModel } from "../../golden/golden-case.ts";
import { available } from "../../helpers/available.ts";
import { scratchFolder } from "../io/scratch.ts";

// Adapters that PEFT 0.21.2 made with each of its options: test/oracle/peft_options.py.
const root = join(import.meta.dir, "../../fixtures/peft-options");
const scratch = scratchFolder();

interface Expected {
  readonly base: "seqcls" | "qa" | "bart";
  readonly inputs: Readonly<Record<string, readonly (readonly number[])[]>>;
  /** Rows of padded sequences, or of labels. */
  readonly logits: readonly (readonly (number | readonly number[])[])[];
}

const heads: Readonly<Record<Expected["base"], TaskHead>> = {
  seqcls: { task: "classification", labels: 3 },
  qa: { task: "span", labels: 2 },
  bart: { task: "generation", labels: 0 },
};

const folders = readdirSync(root, { recursive: true, withFileTypes: true })
  .filter(({ name }) => name === "expected.json")
  .map(({ parentPath }) => parentPath.slice(root.length + 1))
  .toSorted();

/** The largest difference of a logit with an adapter from PEFT's. */
function distance(backend: Backend, name: string, adapterDir = join(root, name)): number {
  const text = readFileSync(join(root, name, "expected.json"), "utf8");
  const { base, inputs, logits }: Expected = JSON.parse(text);
  const subject = loadModel(backend, join(root, "bases", base), { head: heads[base] });
  applyAdapter(backend, subject, readPeftAdapter(adapterDir), adapterDir);
  const mask = inputs["attention_mask"]!;
  const isReal = (b: number, t: number) => mask[b]?.[t] === 1;
  const source = packSequences(
    inputs["input_ids"]!.map((ids, b) => ids.filter((_, t) => isReal(b, t))),
  );
  const target = packSequences((inputs["decoder_input_ids"] ?? []).map((ids) => [...ids]));
  const batch = base === "bart" ? { ...source, target } : source;
  const wanted = logits.flatMap((rows, b) =>
    base === "qa" ? rows.filter((_, t) => isReal(b, t)) : rows,
  );
  const pass = new ForwardPass(backend, { training: false });
  let got: readonly number[] = [];
  pass.scope(() => {
    got = Array.from(backend.download(subject.model.forward(pass, batch).buffer));
  });
  const want = wanted.flat();
  expect(got.length).toBe(want.length);
  return Math.max(...got.map((value, i) => Math.abs(value - want[i]!)));
}

const cpu = await available(() => createCpuBackend({ threads: 1 }));

test("the fixtures are all there", () => {
  expect(folders.length).toBe(20);
});

for (const name of folders) {
  test(`PEFT's adapter ${name}: its logits in float64`, () => {
    expect(distance(createReferenceBackend(), name)).toBeLessThan(1e-12);
  });

  test(`PEFT's adapter ${name}, written again: the same logits`, () => {
    const dir = join(scratch, name.replaceAll("/", "-"));
    writePeftAdapter(dir, readPeftAdapter(join(root, name)));
    expect(distance(createReferenceBackend(), name, dir)).toBeLessThan(1e-12);
  });

  test.skipIf(!cpu.backend)(`PEFT's adapter ${name}: its logits in float32`, () => {
    expect(distance(cpu.backend!, name)).toBeLessThan(1e-5);
  });
}
