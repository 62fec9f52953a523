/**
 * Logits of texts and summaries by a base model with an adapter: `bun summary-logits.ts MODEL ADAPTER TOKENIZER PAIRS.json OUT`.
 * PAIRS.json lists { source, target } in ids; OUT gets the logits of all target rows one after the other, in little-endian f32.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { packTargets } from "../../core/nn/source-target-batch.ts";
import { isGenerationModel } from "../../core/model/plugin.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { defaultSettings } from "../../core/config/run-config.ts";
import { loadTrained, openTrained } from "../../core/run/open-trained.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { localSources } from "../helpers/local-run.ts";

const [model, adapter, tokenizer, pairs, out] = process.argv.slice(2);
if (!model || !adapter || !tokenizer || !pairs || !out) {
  throw new Error("MODEL ADAPTER TOKENIZER PAIRS.json OUT are wanted");
}
const trained = await openTrained(
  { ...defaultSettings(), model, adapter, tokenizer, task: "summarization", which: "last" },
  localSources,
);
const backend = await createCpuBackend({ threads: 1 });
const writer = loadTrained(backend, trained);
if (!isGenerationModel(writer)) throw new Error(`${model} cannot write`);

const all: readonly { source: number[]; target: number[] }[] = JSON.parse(
  readFileSync(pairs, "utf8"),
);
const pass = new ForwardPass(backend, { training: false });
pass.scope(() => {
  const source = packSequences(all.map((pair) => pair.source));
  const { target } = packTargets(
    all.map((pair) => pair.target),
    writer.special,
  );
  const logits = writer.logits(pass, writer.decode(pass, target, writer.encode(pass, source)));
  writeFileSync(out, Float32Array.from(backend.download(logits.buffer)));
});
