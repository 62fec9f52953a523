import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { runStart } from "../../../../core/adalora/start.ts";
import { evaStart } from "../../../../core/adalora/starts/eva.ts";
import { fitInputs } from "../../../../core/adalora/starts/input-components.ts";
import { paperValues } from "../../../../core/adalora/starts/paper.ts";
import type { Backend } from "../../../../core/backend.ts";
import { createReferenceBackend } from "../../../../core/backend/reference.ts";
import { ForwardPass } from "../../../../core/forward-pass.ts";
import type { Adapter } from "../../../../core/nn/adapter.ts";
import type { TokenBatch } from "../../../../core/nn/packed-batch.ts";
import { createCpuBackend } from "../../../../ffi/cpu/backend.ts";
import { tensorOf } from "../../../../core/model/golden-case.ts";
import { available } from "../../../helpers/available.ts";
import { type EvaCase, evaCase } from "../../../helpers/eva-case.ts";

const families = ["deberta", "bart"] as const;
const cpu = await available(() => createCpuBackend({ threads: 1 }));

/** The largest difference of an A from PEFT's with an exact SVD, signs included. */
async function distance({ golden, adapters, context }: EvaCase): Promise<number> {
  const values = await evaStart.values(context);
  const differences = adapters.flatMap(({ a, path }) => {
    const expected = tensorOf(golden, `exact.${path}`).values;
    const got = values.get(a) ?? new Float32Array();
    expect([path, got.length]).toEqual([path, expected.length]);
    return Array.from(got, (x, i) => Math.abs(x - expected[i]!));
  });
  return Math.max(...differences);
}

/** Batches that each input was fitted to, by its first layer, as PEFT counts them. */
async function fittedOf({ fitted: expected, context }: EvaCase) {
  const inputs = await fitInputs(context);
  return {
    counts: Object.fromEntries(
      Object.keys(expected).map((path) => [path, inputs.get(path)?.fitted]),
    ),
    distinct: new Set(inputs.values()).size,
  };
}

for (const family of families)
  describe(`PEFT's EVA of a tiny ${family}`, () => {
    test("the reference backend has its rows of A, signs included", async () => {
      expect(await distance(evaCase(createReferenceBackend(), family))).toBeLessThan(1e-6);
    });

    test.skipIf(!cpu.backend)("the CPU backend has them in f32", async () => {
      const backend = await createCpuBackend({ threads: 1 });
      expect(await distance(evaCase(backend, family))).toBeLessThan(1e-5);
    });

    test("inputs converge after as many batches, and layers with one input share them", async () => {
      const one = evaCase(createReferenceBackend(), family);
      const { counts, distinct } = await fittedOf(one);
      expect(counts).toEqual(one.fitted);
      expect(distinct).toBe(Object.keys(one.fitted).length);
      expect(one.said.warnings).toEqual([]);
      expect(one.said.progress.at(-1)).toMatch(/, (\d+) of \1 inputs converged$/);
    });

    test("the logits are the frozen model's to the bit", async () => {
      const backend = createReferenceBackend();
      const one = evaCase(backend, family);
      const before = logits(backend, one);
      for (const adapter of one.adapters)
        one.context.tree.linears.get(adapter.path)!.adapter = adapter;
      await runStart(evaStart, one.context);
      expect(logits(backend, one)).toEqual(before);
      const [first] = one.adapters;
      backend.upload(first!.e!.buffer, new Float64Array(first!.rank).fill(1));
      expect(logits(backend, one)).not.toEqual(before); // the adapters are attached
    });
  });

function logits(backend: Backend, { model, batches }: EvaCase): number[] {
  let values: number[] = [];
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    values = Array.from(backend.download(model.forward(pass, batches[0]!).buffer));
  });
  return values;
}

describe("the values beside A", () => {
  const valuesOf = async (hasE: boolean) => {
    const one = evaCase(createReferenceBackend(), "deberta", { hasE });
    return { adapters: one.adapters, values: await evaStart.values(one.context) };
  };

  test("with E: E = 0, and B is Gaussian, so that E has a gradient", async () => {
    const { adapters, values } = await valuesOf(true);
    for (const adapter of adapters) {
      expect(values.get(adapter.e!)).toEqual(new Float32Array(adapter.rank));
      expect(values.get(adapter.b)).toEqual(paperValues(adapter, 1).get(adapter.b));
    }
  });

  test("without E: B = 0, as in PEFT", async () => {
    const { adapters, values } = await valuesOf(false);
    for (const { b } of adapters) expect(values.get(b)).toEqual(new Float32Array(b.length));
    expect(values.size).toBe(2 * adapters.length);
  });

  test("A has orthonormal rows", async () => {
    const { adapters, values } = await valuesOf(false);
    for (const adapter of adapters) expectOrthonormal(adapter, values.get(adapter.a)!);
  });
});

function expectOrthonormal({ rank }: Adapter, rows: Float32Array): void {
  const width = rows.length / rank;
  for (let i = 0; i < rank; i++)
    for (let j = 0; j <= i; j++) {
      let dot = 0;
      for (let c = 0; c < width; c++) dot += rows[i * width + c]! * rows[j * width + c]!;
      expect(Math.abs(dot - +(i === j))).toBeLessThan(1e-6);
    }
}

describe("a start that does not get what it needs", () => {
  test("warns of modules that have not converged when the epoch ends", async () => {
    const { context, said } = evaCase(createReferenceBackend(), "deberta", { most: 7 });
    await fitInputs(context);
    expect(said.progress).toHaveLength(7);
    expect(said.warnings).toEqual(["start eva: 5 of 12 modules had not converged after 7 batches"]);
  });

  test("stops after 64 batches", async () => {
    const { context, said } = evaCase(createReferenceBackend(), "deberta");
    // Only the first batch is taken in: every other one has fewer rows than the rank.
    const batches = function* () {
      let first = true;
      for (const batch of context.batches()) {
        yield first ? batch : { ...batch, tokens: 1 };
        first = false;
      }
    };
    await fitInputs({ ...context, batches });
    expect(said.progress).toHaveLength(64);
    expect(said.warnings).toEqual([
      "start eva: 12 of 12 modules had not converged after 64 batches",
    ]);
  });

  test("rejects batches that are all smaller than the rank", async () => {
    const { context } = evaCase(createReferenceBackend(), "deberta", { rank: 20, most: 1 });
    const batches = function* () {
      for (const batch of context.batches()) yield { ...batch, tokens: 19 };
    };
    await expect(fitInputs({ ...context, batches })).rejects.toThrow(
      "--start eva needs a batch of at least 20 tokens, the initial rank: deberta.encoder.layer.0.",
    );
  });

  test("rejects inputs that are not finite, with the module's name", async () => {
    const backend = createReferenceBackend();
    const { context } = evaCase(backend, "deberta");
    const norm = context.tree.parameters.get(
      "deberta.encoder.layer.0.attention.output.LayerNorm.bias",
    )!;
    backend.upload(norm.buffer, new Float64Array(norm.length).fill(NaN));
    await expect(fitInputs(context)).rejects.toThrow(
      "--start eva: the inputs of deberta.encoder.layer.0.intermediate.dense must be finite: got NaN or Infinity in batch 1",
    );
  });
});

test("the rows that stand for padding in SQuAD's loss are left out", async () => {
  const head = { task: "span", labels: 2, paddedQueries: "uniform" } as const;
  const componentsOf = async (edit: (batch: TokenBatch) => TokenBatch) => {
    const rows: number[] = [];
    const { context } = evaCase(createReferenceBackend(), "deberta", { head, most: 1, edit });
    for (const { forward } of context.batches()) forward((_, x) => rows.push(x.shape[0] ?? 0));
    const inputs = [...(await fitInputs(context)).values()];
    return { rows: Math.max(...rows), components: inputs.map(({ components }) => components) };
  };
  const bare = await componentsOf((batch) => batch);
  const padded = await componentsOf((batch) => ({
    ...batch,
    padding: new Int32Array(batch.offsets.length - 1).fill(5),
  }));
  expect(padded.rows).toBe(bare.rows + 4);
  expect(padded.components).toEqual(bare.components);
});

test("the table of starts does not load the SVD and its library", async () => {
  const table = join(import.meta.dir, "../../../../core/adalora/starts/index.ts");
  const { outputs } = await Bun.build({ entrypoints: [table], splitting: true, target: "bun" });
  const entry = outputs.find(({ kind }) => kind === "entry-point");
  const text = (await entry?.text()) ?? "";
  expect(text).toContain("evaStart");
  expect(text).not.toContain("EigenvalueDecomposition");
});
