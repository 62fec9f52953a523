import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Backend, HostTensor } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { deberta } from "../../plugins/deberta/index.ts";
import { available } from "../helpers/available.ts";

type Json = Readonly<Record<string, unknown>>;
type Shapes = Readonly<Record<string, readonly number[]>>;

interface GridCase {
  readonly config: Json;
  readonly logits?: readonly (readonly number[])[];
  readonly keys?: number;
  readonly refused?: string;
}

/** Written by test/oracle/deberta_grid.py, which computes weights and ids as below. */
const grid: {
  readonly base: Json;
  readonly lengths: readonly number[];
  readonly keySets: readonly Shapes[];
  readonly cases: readonly GridCase[];
} = JSON.parse(readFileSync(join(import.meta.dir, "grids", "deberta.json"), "utf8"));

function weight(name: string, shape: readonly number[]): HostTensor {
  const n = shape.reduce((a, b) => a * b, 1);
  const phase = Array.from(name).reduce((sum, c) => sum + c.charCodeAt(0), 0);
  const middle = name.includes("LayerNorm") && name.endsWith("weight") ? 1 : 0;
  const values = Float32Array.from(
    { length: n },
    (_, i) => middle + 0.35 * Math.sin(1.7 * i + phase),
  );
  return { dtype: "F32", shape, bytes: new Uint8Array(values.buffer) };
}

const idsOf = (length: number) =>
  Array.from({ length }, (_, i) => 1 + ((7 * i * i + 3 * i + length) % 19));

/** The logits of each sequence, all in one batch. */
function logitsOf(backend: Backend, raw: Json, shapes: Shapes): number[] {
  const config = deberta.parseConfig(raw);
  const { maxLength } = deberta.limits(config);
  const declared = declareModel(deberta, config, { task: "classification", labels: 2 });
  const tensors = new Map(
    Object.entries(shapes).map(([name, shape]) => [name, weight(name, shape)] as const),
  );
  loadWeights(backend, declared.tree, tensors, deberta, { where: "grid", seed: 1 });
  const sequences = grid.lengths.map((length) => idsOf(Math.min(length, maxLength)));
  const types = sequences.map((ids) =>
    ids.map((_, i) => (Number(raw["type_vocab_size"]) > 1 && i >= 3 ? 1 : 0)),
  );
  let logits: number[] = [];
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const out = declared.model.forward(pass, packSequences(sequences, types));
    logits = Array.from(backend.download(out.buffer));
  });
  return logits;
}

const { backend: cpu } = await available(() => createCpuBackend({ threads: 1 }));
const backends: readonly (readonly [string, () => Backend | Promise<Backend>, number])[] = [
  ["reference", createReferenceBackend, 1e-9],
  ...(cpu ? ([["cpu", () => createCpuBackend({ threads: 1 }), 1e-5]] as const) : []),
];

describe.each(backends)("logits are those of transformers: %s", (_, open, tolerance) => {
  test.each(grid.cases.map((one) => [JSON.stringify(one.config), one] as const))(
    "%s",
    async (_name, one) => {
      const raw = { ...grid.base, ...one.config };
      const backend = await open();
      if (one.refused !== undefined) {
        expect(() => deberta.parseConfig(raw)).toThrow("config.json: ");
        return;
      }
      const got = logitsOf(backend, raw, grid.keySets[one.keys ?? -1] ?? {});
      const expected = (one.logits ?? []).flat();
      expect(got).toHaveLength(expected.length);
      got.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThan(tolerance));
    },
  );
});
