/**
 * Tiny examples of everything that can be added from outside: an allocation rule, a start, a model
 * family and a task. Core, models, plugins and cli know nothing about them.
 */
import { readFileSync } from "node:fs";
import type { AllocatorRule } from "../../core/adalora/allocator.ts";
import type { Start } from "../../core/adalora/start.ts";
import { configReader } from "../../core/config-reader.ts";
import type { DataSplit } from "../../core/data/examples.ts";
import { commandLineSplit } from "../../core/data/command-line-split.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import type { TokenizeOptions } from "../../core/model/model-files.ts";
import { definePlugin, type Model } from "../../core/model/plugin.ts";
import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { TokenBatch } from "../../core/nn/packed-batch.ts";
import { gatherRows } from "../../core/ops/gather-rows.ts";
import { sequenceDataset } from "../../core/tasks/sequence-dataset.ts";
import { tokenizeExamples } from "../../core/tasks/sequence-examples.ts";
import type { Task, SplitText, TaskDefinition } from "../../core/tasks/task.ts";
import type { Tensor } from "../../core/tensor.ts";
import { debertaTokenizer } from "../../core/text/families/deberta.ts";

/** Keeps the first triplet of each matrix after step 4; its state counts the masks. */
export const firstTriplet: AllocatorRule = {
  about: "the first triplet of each matrix",

  create({ backend, adapters, report }) {
    const masks = backend.alloc(backend.master, 1);
    backend.zero(masks);
    let end = 0;
    const keptOf = adapters.map(({ rank }) =>
      backend.view(report.kept, (end += rank) - rank, rank),
    );
    const applyMask = () =>
      backend.applyMask(
        adapters.flatMap(({ e, rank }, i) =>
          e ? [{ param: e.buffer, kept: keptOf[i]!, rows: rank, cols: 1, columns: false }] : [],
        ),
      );
    return {
      importanceAt: () => undefined,
      afterStep(step) {
        if (step < 4) return { budget: end, masked: false };
        for (const kept of keptOf)
          backend.upload(
            kept,
            Float64Array.from({ length: kept.length }, (_, i) => Number(i === 0)),
          );
        backend.upload(masks, [1 + backend.download(masks)[0]!]);
        applyMask();
        return { budget: adapters.length, masked: true };
      },
      applyMask,
      state: { masks },
    };
  },
};

/** A data-dependent start: A's rows are the mean layer input over the first batch, and E = 0. */
export const meanInput: Start = {
  about: "the mean of the layer's inputs",
  needsE: true,

  values({ backend, adapters, batches }) {
    const means = new Map<string, Float64Array>();
    for (const batch of batches()) {
      batch.forward((path, x) => {
        const [rows = 0, cols = 0] = x.shape;
        const values = backend.download(x.buffer);
        const mean = new Float64Array(cols);
        values.forEach((value, i) => (mean[i % cols]! += value / rows));
        means.set(path, mean);
      });
      break;
    }
    return new Map(
      adapters.flatMap(({ path, a, e, b }) => {
        const mean = means.get(path);
        if (!mean || !e) throw new Error(`${path} saw no input`);
        const rows = Float32Array.from({ length: a.length }, (_, i) => mean[i % mean.length]!);
        return [
          [a, rows],
          [e, new Float32Array(e.length)],
          [b, new Float32Array(b.length).fill(0.1)],
        ] as const;
      }),
    );
  },
};

/** Word embeddings, one layer, a classifier on the first token: model_type "tiny-outside". */
export const outsidePlugin = definePlugin<{ vocabSize: number; width: number }>({
  name: "outside",
  modelTypes: ["tiny-outside"],
  tasks: ["classification"],
  parseConfig(raw) {
    const c = configReader(raw, "config.json");
    return { vocabSize: c.size("vocab_size"), width: c.size("hidden_size") };
  },
  limits: ({ vocabSize }) => ({ vocabSize, maxLength: 64 }),
  build({ vocabSize, width }, { labels }, scope) {
    return firstTokenModel(scope, vocabSize, width, labels);
  },
  weights: { prefix: "bag.", rename: [], ignore: [], optional: [/^classifier\./] },
  adapters: {
    modules: { dense: /\.dense$/ },
    prefixes: {},
    trainable: [/^classifier\./],
    saved: ["classifier"],
  },
  tokenizer: debertaTokenizer,
});

function firstTokenModel(
  scope: ModuleScope,
  vocabSize: number,
  width: number,
  labels: number,
): Model {
  const bag = scope.child("bag");
  const words = bag.child("words").parameter("weight", [vocabSize, width], { normal: 0.5 });
  const dense = bag.linear("dense", width, width, 0.5);
  const classifier = scope.linear("classifier", width, labels, 0.5);
  return {
    forward(pass: ForwardPass, { ids, offsets }: TokenBatch): Tensor {
      const first = pass.integers(Array.from(offsets.subarray(0, -1), (row) => ids[row + 1] ?? 0));
      const x = gatherRows(pass, { table: words }, { ids: first });
      return classifier.forward(pass, dense.forward(pass, x, "tanh"));
    },
  };
}

/** Lines "no|some text" or "yes|some text": a task with a file format of its own. */
export const yesOrNo: TaskDefinition = {
  name: "yes-or-no",
  kind: "sequence",
  create: yesOrNoTask,
};

function yesOrNoTask(): Task {
  const labelNames = ["no", "yes"];
  return {
    name: "yes-or-no",
    kind: "classification",
    hub: undefined,
    maxLength: 32,
    labelNames,
    locate: ({ path }) =>
      (["train", "validation"] as const).map((role) => ({
        name: role,
        role,
        files: [`${path}/${role}.txt`],
      })),
    fromWords: (words) => commandLineSplit(words.map((text) => ({ text }))),
    splitNameOf: () => undefined,
    read: (split) => Promise.resolve(linesOf(split, labelNames)),
    spec: () => ({
      kind: "classification",
      width: 2,
      labelNames,
      metrics: ["accuracy", "loss"],
      defaultMetric: "accuracy",
      peftType: "SEQ_CLS",
    }),
  };
}

function linesOf({ name, files: [file] }: DataSplit, labelNames: readonly string[]): SplitText {
  if (typeof file !== "string") throw new Error("a split is a file on the disk");
  const lines = readFileSync(file, "utf8").trim().split("\n");
  const examples = lines.map((line, index) => {
    const [label = "", text = ""] = line.split("|");
    return { index, text, label: labelNames.indexOf(label) };
  });
  const tokenize = async (options: TokenizeOptions) => {
    const set = { examples, labelNames, warnings: [] };
    const task = { glue: undefined, kind: "classification", isWhole: true } as const;
    return sequenceDataset(await tokenizeExamples(name, set, options), task);
  };
  return {
    name,
    featureCount: examples.length,
    labelNames,
    forTraining: tokenize,
    forPrediction: tokenize,
  };
}
