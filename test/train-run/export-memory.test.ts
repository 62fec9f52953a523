import { afterAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { writePeftAdapter } from "../../core/io/peft.ts";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { peakResidentMemory } from "../../core/process-memory.ts";
import { deberta } from "../../plugins/deberta/index.ts";
import { cpu } from "./command.ts";

setDefaultTimeout(240_000);
const folder = mkdtempSync(join(tmpdir(), "adalora-export-memory-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A model of 102 MiB. */
const config = {
  model_type: "deberta-v2",
  vocab_size: 512,
  hidden_size: 512,
  num_hidden_layers: 8,
  num_attention_heads: 8,
  intermediate_size: 2048,
  max_position_embeddings: 64,
  relative_attention: true,
  position_buckets: 8,
  norm_rel_ebd: "layer_norm",
  share_att_key: true,
  pos_att_type: "p2c|c2p",
  position_biased_input: false,
  type_vocab_size: 0,
};
const SHARDS = 4;
const MIB = 2 ** 20;

/** Small values that differ from tensor to tensor. */
function tensor(shape: readonly number[], scale: number) {
  const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
  for (let i = 0; i < values.length; i++)
    values[i] = scale * (((i * 7919 + shape.length) % 201) - 100);
  return float32Tensor(shape, values);
}

/**
 * Writes the model in shards, and an adapter for all of its layers; returns the largest shard's
 * bytes.
 */
function writeFiles(base: string, adapter: string): number {
  mkdirSync(base);
  writeFileSync(join(base, "config.json"), JSON.stringify(config));
  const head = { task: "classification", labels: 2 } as const;
  const { tree } = declareModel(deberta, deberta.parseConfig(config), head);
  const all = [...tree.parameters.values()].filter(({ name }) => name.startsWith("deberta."));
  const map: Record<string, string> = {};
  let largest = 0;
  for (let shard = 0; shard < SHARDS; shard++) {
    const name = `model-0000${shard + 1}-of-0000${SHARDS}.safetensors`;
    const part = all.filter((_, i) => Math.floor((i * SHARDS) / all.length) === shard);
    const tensors = part.map((one) => [one.name, tensor(one.storedShape, 1e-4)] as const);
    largest = Math.max(
      largest,
      tensors.reduce((sum, [, { bytes }]) => sum + bytes.length, 0),
    );
    writeSafetensors(join(base, name), new Map(tensors));
    for (const one of part) map[one.name] = name;
  }
  const index = { metadata: {}, weight_map: map };
  writeFileSync(join(base, "model.safetensors.index.json"), JSON.stringify(index));
  const modules = [...tree.linears.values()]
    .filter(({ path }) => path.startsWith("deberta."))
    .map(({ path, inFeatures, outFeatures }) => ({
      path,
      alpha: 8,
      A: tensor([4, inFeatures], 1e-5),
      B: tensor([outFeatures, 4], 1e-4),
    }));
  const heads = [...tree.parameters.values()].filter(({ name }) => !name.startsWith("deberta."));
  writePeftAdapter(adapter, {
    method: "lora",
    taskType: "SEQ_CLS",
    baseModel: null,
    dropout: 0,
    saved: new Map(heads.map(({ name, storedShape }) => [name, tensor(storedShape, 1e-4)])),
    modules,
  });
  return largest;
}

const POLL_MS = 5;

test.skipIf(cpu.backend === undefined)(
  "a merge needs at most the largest shard and 200 MiB, whatever the model's size",
  async () => {
    const [base, adapter, out] = ["base", "adapter", "merged"].map((name) => join(folder, name));
    const largest = writeFiles(base!, adapter!);
    const program = resolve(import.meta.dir, "../../cli/main.ts");
    const words = ["merge", adapter!, "--model", base!, "-o", out!, "--device", "cpu"];
    const child = Bun.spawn([process.execPath, program, ...words], { stderr: "pipe" });
    // A child's rusage also counts the memory of the process that forked it.
    let peak = 0;
    const look = () => (peak = Math.max(peak, peakResidentMemory(child.pid) ?? 0));
    const watch = setInterval(look, POLL_MS);
    expect([await child.exited, await new Response(child.stderr).text()]).toEqual([
      0,
      expect.any(String),
    ]);
    clearInterval(watch);
    expect(peak).toBeGreaterThan(largest);
    expect(peak).toBeLessThan(largest + 200 * MIB);
  },
);
