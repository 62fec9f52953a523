import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeSafetensors } from "../../core/io/safetensors.ts";
import { float32Tensor } from "../../core/io/stored-tensor.ts";
import { debertaTokenizer } from "../../core/text/families/deberta.ts";
import { wave } from "./wave.ts";

const spm = join(import.meta.dir, "../fixtures/text/tiny/spm.model");

/**
 * Files of a plugin as an author writes it, by name: word embeddings, one layer, a classifier on
 * the first token; model_type "bag". `bag.ts` imports "adalora" and the file beside it alone.
 */
export const bagFiles: Readonly<Record<string, string>> = {
  "special.ts": `export const special = { pad: "[PAD]", cls: "[CLS]", sep: "[SEP]", unk: "[UNK]" } as const;\n`,
  "bag.ts": `import { configReader, definePlugin, type ForwardPass, ops, type TokenBatch } from "adalora";
import { special } from "./special.ts";

export default definePlugin<{ vocabSize: number; width: number }>({
  name: "bag",
  modelTypes: ["bag"],
  tasks: ["classification"],
  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    return { vocabSize: c.size("vocab_size"), width: c.width("hidden_size") };
  },
  limits: ({ vocabSize }) => ({ vocabSize, maxLength: 64 }),
  build({ vocabSize, width }, { labels }, scope) {
    const bag = scope.child("bag");
    const words = bag.child("words").parameter("weight", [vocabSize, width], { normal: 0.5 });
    const dense = bag.linear("dense", width, width, 0.5);
    const classifier = scope.linear("classifier", width, labels, 0.5);
    return {
      forward(pass: ForwardPass, { ids, offsets }: TokenBatch) {
        const second = Array.from(offsets.subarray(0, -1), (row) => ids[row + 1] ?? 0);
        const x = ops.gatherRows(pass, { table: words }, { ids: pass.integers(second) });
        return classifier.forward(pass, dense.forward(pass, x, "tanh"));
      },
    };
  },
  weights: { prefix: "bag.", rename: [], ignore: [], optional: [/^classifier\\./] },
  adapters: {
    modules: { dense: /\\.dense$/ },
    prefixes: {},
    trainable: [/^classifier\\./],
    saved: ["classifier"],
  },
  tokenizer: { name: "bag", special },
});
`,
};

/** Writes the plugin into a new folder, each `[from, to]` replaced in bag.ts; returns its path. */
export function writeBagPlugin(folder: string, ...edits: (readonly [string, string])[]): string {
  mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(bagFiles)) {
    const changed = edits.reduce((all, [from, to]) => all.replaceAll(from, to), text);
    writeFileSync(join(folder, name), changed);
  }
  return join(folder, "bag.ts");
}

/** Writes a tokenizer.json of 357 tokens, with the special tokens of BERT. */
export function writeTinyTokenizer(folder: string): void {
  const vocabulary = { path: spm, bytes: readFileSync(spm) };
  const tokenizer = debertaTokenizer.convert?.build([vocabulary], {});
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
}

/** Writes a checkpoint of the plugin's family without its head, with a tokenizer.json. */
export function writeBagModel(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const config = { model_type: "bag", vocab_size: 512, hidden_size: 16 };
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeTinyTokenizer(folder);
  const tensor = (shape: readonly number[], phase: number) => {
    const count = shape.reduce((a, b) => a * b);
    return float32Tensor(shape, Float32Array.from(wave(count, phase)));
  };
  const tensors = {
    "words.weight": tensor([512, 16], 1),
    "dense.weight": tensor([16, 16], 2),
    "dense.bias": tensor([16], 3),
  };
  writeSafetensors(join(folder, "model.safetensors"), new Map(Object.entries(tensors)));
}
