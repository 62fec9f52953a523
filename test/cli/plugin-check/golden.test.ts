import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkGolden } from "../../../cli/plugin-check/golden.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { writeSafetensors } from "../../../core/io/safetensors.ts";
import type { StoredTensor } from "../../../core/io/stored-tensor.ts";
import { type ModelPlugin, ops } from "../../../core/kit/kit.ts";
import { loadWeights } from "../../../core/model/load-weights.ts";
import { declareModel } from "../../../core/model/open-model.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { openCheckpoint } from "../../../core/io/checkpoint-files.ts";
import { builtInFamilies } from "../../../plugins/index.ts";
import { smallConfig, smallPlugin, type Steps, writeSmall } from "./small-plugin.ts";

const cases = join(import.meta.dir, "../../golden/cases");
const file = { files: [import.meta.path] };

let folder = "";
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "plugin-golden-"));
  writeSmall(folder, { head: true });
  record(smallPlugin(), folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const f64 = (shape: readonly number[], values: ArrayLike<number>): StoredTensor => ({
  dtype: "F64",
  shape,
  bytes: new Uint8Array(Float64Array.from(values).buffer),
});

/** Records what a plugin computes of one sequence, as test/golden/cases has it. */
function record(plugin: ModelPlugin, dir: string): void {
  const backend = createReferenceBackend();
  const head = { task: "classification", labels: 2 } as const;
  const { model, tree } = declareModel(plugin, plugin.parseConfig(smallConfig), head);
  const { tensors } = openCheckpoint(dir);
  loadWeights(backend, tree, tensors, plugin, { where: dir, seed: 0 });
  const ids = [1, 9, 11, 2];
  const found = new Map<string, StoredTensor>([
    ["input.input_ids", f64([1, 5], [...ids, 0])],
    ["input.attention_mask", f64([1, 5], [1, 1, 1, 1, 0])],
  ]);
  const keep = (name: string, values: ArrayLike<number>, shape: readonly number[]) =>
    found.set(name, f64(shape, values));
  const pass = new ForwardPass(backend, {
    training: false,
    observe: (name, { buffer }) => {
      const padded = [...backend.download(buffer), ...Array<number>(24).fill(0)];
      keep(`out.${name}`, padded, [1, 5, 24]);
    },
  });
  pass.scope(() => {
    const logits = model.forward(pass, packSequences([ids]));
    keep("out.logits", backend.download(logits.buffer), [1, 2]);
  });
  writeSafetensors(join(dir, "golden.safetensors"), found);
  writeFileSync(join(dir, "golden.json"), JSON.stringify({ kind: "seqcls" }));
}

/** The messages of a comparison of the small plugin, some of its steps replaced. */
const compared = (steps: Partial<Steps>) => messagesOf(smallPlugin(steps));
const messagesOf = (plugin: ModelPlugin) =>
  checkGolden(plugin, { golden: folder, model: folder }, file)
    .map(({ level, message, hint }) => `${level}: ${message}\n  change: ${hint ?? "-"}`)
    .join("\n");

describe("recorded outputs", () => {
  test("of the same model agree", () => {
    expect(compared({})).toMatchInlineSnapshot(`
      "ok: classification: logits and 4 hidden states within 1e-9
        change: -"
    `);
  });

  test("embeddings that differ are named, not what follows from them", () => {
    const embedded: Steps["embedded"] = (pass, x) => ops.activation(pass, { x }, { kind: "tanh" });
    expect(compared({ embedded })).toMatchInlineSnapshot(`
      "fail: hidden.0 differs from the recorded by 6.1e-1
        change: compare the embeddings with the original's: tables, their sum, norm, scale"
    `);
  });

  test("a layer that differs is named", () => {
    let calls = 0;
    const layer: Steps["layer"] = (pass, _, body) =>
      pass.scope(() =>
        calls++ === 1 ? ops.activation(pass, { x: body() }, { kind: "gelu" }) : body(),
      );
    expect(compared({ layer })).toMatchInlineSnapshot(`
      "fail: hidden.2 differs from the recorded by 8.0e-1
        change: the states before it agree: compare layer 1 with the original's"
    `);
  });

  test("a head that differs", () => {
    expect(compared({ lastEps: () => 1e-3 })).toMatchInlineSnapshot(`
      "fail: logits differs from the recorded by 5.0e-4
        change: the hidden states agree: compare the head with the original's"
    `);
  });

  test("a state that forward does not observe", () => {
    expect(compared({ observe: () => {} })).toMatchInlineSnapshot(`
      "fail: forward observes no hidden.0, hidden.1, hidden.2, hidden.3
        change: pass.observe(name, tensor): the embeddings as hidden.0, then each layer's output"
    `);
  });

  test("a head whose keys the plugin renames away", () => {
    const right = smallPlugin();
    const weights: ModelPlugin["weights"] = {
      ...right.weights,
      rename: [[/^classifier\./, "pretraining."]],
    };
    expect(messagesOf({ ...right, weights })).toMatchInlineSnapshot(`
      "fail: the checkpoint lacks classifier.weight, classifier.bias: its logits would be random
        change: record outputs of a checkpoint that has the head, and name its folder"
    `);
  });

  test("logits of a head that the checkpoint lacks are not compared", () => {
    const plugin: ModelPlugin = builtInFamilies.familyOf("deberta-v2").plugin;
    const golden = join(cases, "01-seqcls-2labels");
    const model = join(cases, "01-hub-style-fp16-bin");
    const [found] = checkGolden(plugin, { golden: model, model: golden }, file);
    expect(found?.message).toBe("classification: 3 hidden states within 1e-9");
  });

  for (const name of ["01-seqcls-2labels", "03-qa-types", "04-bart", "04-bart-label-holes"])
    test(`${name}: transformers' agree with the built-in plugin's`, () => {
      const golden = join(cases, name);
      const plugin = builtInFamilies.familyOf(name.startsWith("04") ? "bart" : "deberta-v2").plugin;
      const found = checkGolden(plugin, { golden, model: golden }, file);
      expect(found.map(({ level }) => level)).toEqual(["ok"]);
    });

  test("a folder without them is an error", () => {
    const golden = join(cases, "05-lora-seqcls");
    const plugin = builtInFamilies.familyOf("deberta-v2").plugin;
    expect(() => checkGolden(plugin, { golden, model: golden }, file)).toThrow(
      "golden.safetensors: holds no input.attention_mask",
    );
  });
});
