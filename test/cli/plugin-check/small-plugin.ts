import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Buffer } from "../../../core/backend.ts";
import { writeSafetensors } from "../../../core/io/safetensors.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";
import type { Packing } from "../../../core/kernels/attention.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import {
  configReader,
  definePlugin,
  type ForwardPass,
  type Model,
  type ModelPlugin,
  type ModuleScope,
  nn,
  ops,
  type TaskHead,
  type Tensor,
  type TokenBatch,
  tokenizers,
} from "../../../core/kit/kit.ts";
import { initializeWeights } from "../../../core/model/load-weights.ts";
import { declareModel } from "../../../core/model/open-model.ts";
import { demoTokenizerJson, vocabulary } from "../../../demo/tokenizer.ts";

/** config.json of a small family: post-norm layers, absolute positions. */
export const smallConfig = {
  model_type: "small",
  vocab_size: vocabulary.length,
  hidden_size: 24,
  num_hidden_layers: 3,
  num_attention_heads: 3,
  intermediate_size: 32,
  max_position_embeddings: 40,
  hidden_dropout_prob: 0.1,
  type_vocab_size: 0,
};

interface SmallConfig {
  readonly vocabSize: number;
  readonly width: number;
  readonly layers: number;
  readonly heads: number;
  readonly ffn: number;
  readonly maxPositions: number;
  readonly dropout: number;
}

/** Steps of the small model that a test replaces, each to break one rule. */
export interface Steps {
  positions(batch: TokenBatch): Int32Array;
  /** The buffers that a layer reads besides its input. */
  reads(packing: Packing): readonly (Buffer | undefined)[];
  /** Runs a layer. */
  layer(pass: ForwardPass, reads: readonly (Buffer | undefined)[], body: () => Tensor): Tensor;
  project(linear: nn.Linear, pass: ForwardPass, x: Tensor): Tensor;
  /** After the embeddings. */
  embedded(pass: ForwardPass, x: Tensor): Tensor;
  observe(pass: ForwardPass, name: string, x: Tensor): void;
  mask(pass: ForwardPass, probability: number): Dropout | undefined;
  hiddenDropout(head: TaskHead, own: number): number;
  /** The epsilon of the last norm: `observed` as the pass. */
  lastEps(observed: boolean): number;
  /** Width of the classifier's output. */
  outputs(head: TaskHead): number;
  /** Declares something else. */
  declare(scope: ModuleScope): void;
}

const EPS = 1e-6;

const rightSteps: Steps = {
  positions: ({ positions }) => positions,
  reads: ({ offsets, positions }) => [offsets, positions],
  layer: (pass, reads, body) => pass.checkpoint(reads, body),
  project: (linear, pass, x) => linear.forward(pass, x),
  embedded: (_, x) => x,
  observe: (pass, name, x) => pass.observe(name, x),
  mask: (pass, probability) => pass.nextDropout(probability),
  hiddenDropout: (head, own) => head.dropout?.hidden ?? own,
  lastEps: () => EPS,
  outputs: ({ labels }) => labels,
  declare: () => {},
};

/** A small family for classification, with some of its steps replaced. */
export function smallPlugin(broken: Partial<Steps> = {}): ModelPlugin<SmallConfig> {
  const steps = { ...rightSteps, ...broken };
  return definePlugin<SmallConfig>({
    name: "small",
    modelTypes: ["small"],
    tasks: ["classification"],
    parseConfig(raw) {
      const c = configReader(raw, "config.json");
      return {
        vocabSize: c.width("vocab_size"),
        width: c.width("hidden_size"),
        layers: c.layers("num_hidden_layers"),
        heads: c.width("num_attention_heads"),
        ffn: c.width("intermediate_size"),
        maxPositions: c.width("max_position_embeddings"),
        dropout: c.probability("hidden_dropout_prob", 0.1),
      };
    },
    limits: ({ vocabSize, maxPositions }) => ({ vocabSize, maxLength: maxPositions }),
    build: (config, head, scope) => smallModel(config, head, scope, steps),
    weights: {
      prefix: "small.",
      rename: [],
      ignore: [/^pretraining\./],
      optional: [/^classifier\./],
    },
    adapters: {
      modules: {
        query: /\.query$/,
        key: /\.key$/,
        value: /\.value$/,
        output: /\.output$/,
        up: /\.up$/,
        down: /\.down$/,
      },
      prefixes: {},
      trainable: [/^classifier\./],
      saved: ["classifier"],
    },
    tokenizer: tokenizers.deberta,
  });
}

function smallModel(config: SmallConfig, head: TaskHead, scope: ModuleScope, steps: Steps): Model {
  const { width: C, vocabSize, maxPositions, layers: count } = config;
  const p = {
    hidden: steps.hiddenDropout(head, config.dropout),
    head: head.dropout?.head ?? config.dropout,
  };
  const root = scope.child("small");
  const words = root.child("words").parameter("weight", [vocabSize, C], { normal: 0.5 });
  const places = root.child("places").parameter("weight", [maxPositions, C], { normal: 0.5 });
  const layers = Array.from({ length: count }, (_, i) =>
    smallLayer(config, root.child(`layer.${i}`), p.hidden, steps),
  );
  const norm = root.layerNorm("norm", C, EPS);
  const classifier = scope.linear("classifier", C, steps.outputs(head), 0.5);
  steps.declare(root);
  const drop = (pass: ForwardPass, x: Tensor, probability: number) => {
    const mask = steps.mask(pass, probability);
    return mask ? ops.dropout(pass, { x }, { dropout: mask }) : x;
  };
  return {
    forward(pass, batch) {
      const packing = nn.uploadPacking(pass, batch);
      let x = pass.scope(() => {
        const base = ops.gatherRows(pass, { table: words }, { ids: pass.integers(batch.ids) });
        const ids = pass.integers(steps.positions(batch));
        return steps.embedded(pass, ops.gatherRows(pass, { table: places, base }, { ids }));
      });
      steps.observe(pass, "hidden.0", x);
      for (const [i, layer] of layers.entries()) {
        const input = x;
        const reads = [input.buffer, ...steps.reads(packing)];
        x = steps.layer(pass, reads, () => layer(pass, input, packing));
        pass.tape.drop(input.buffer);
        steps.observe(pass, `hidden.${i + 1}`, x);
      }
      const first = pass.integers(batch.offsets.subarray(0, -1));
      const rows = ops.gatherRows(pass, { table: x }, { ids: first });
      const eps = steps.lastEps(pass.observed);
      const { weight, bias } = norm;
      const state = ops.addLayerNorm(pass, { x: rows, weight, bias }, { eps });
      return classifier.forward(pass, drop(pass, state, p.head));
    },
  };
}

function smallLayer(
  { width: C, heads, ffn }: SmallConfig,
  scope: ModuleScope,
  probability: number,
  steps: Steps,
) {
  const linear = (name: string, from: number, to: number) => scope.linear(name, from, to, 0.3);
  const [query, key, value] = [linear("query", C, C), linear("key", C, C), linear("value", C, C)];
  const [output, up, down] = [linear("output", C, C), linear("up", C, ffn), linear("down", ffn, C)];
  const [first, second] = [scope.layerNorm("norm1", C, EPS), scope.layerNorm("norm2", C, EPS)];
  const headDim = C / heads;
  const normed = (pass: ForwardPass, x: Tensor, residual: Tensor, norm: nn.LayerNorm) => {
    const { weight, bias, eps } = norm;
    const dropout = steps.mask(pass, probability);
    return ops.addLayerNorm(pass, { x, residual, weight, bias }, { eps, dropout });
  };
  return (pass: ForwardPass, x: Tensor, packing: Packing): Tensor => {
    const project = (layer: nn.Linear, from: Tensor) => steps.project(layer, pass, from);
    const shape = {
      queries: packing,
      keys: packing,
      heads,
      headDim,
      scale: Math.sqrt(headDim),
      causal: false,
      dropout: undefined,
    };
    const inputs = { q: project(query, x), k: project(key, x), v: project(value, x) };
    const context = ops.attention(pass, inputs, { shape });
    const attended = normed(pass, project(output, context), x, first);
    const wide = ops.activation(pass, { x: project(up, attended) }, { kind: "gelu" });
    return normed(pass, project(down, wide), attended, second);
  };
}

/** Writes a pretrained checkpoint of the small family, with a classifier or without, and its tokenizer. */
export function writeSmall(dir: string, { head: hasHead = false } = {}): void {
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "config.json"), JSON.stringify(smallConfig));
  writeFileSync(join(dir, "tokenizer.json"), JSON.stringify(demoTokenizerJson()));
  const backend = createReferenceBackend();
  const plugin = smallPlugin({
    declare: (scope) => scope.parameter("extra", [24], "ones"),
  });
  const head = { task: "classification", labels: 2 } as const;
  const { tree } = declareModel(plugin, plugin.parseConfig(smallConfig), head);
  initializeWeights(backend, tree, 7);
  const stored = [...tree.parameters.values()].map(({ name, storedShape, buffer }) => {
    const key = name === "small.extra" ? "pretraining.extra" : name;
    const values = Float32Array.from(backend.download(buffer));
    return [key, float32Tensor(storedShape, values)] as const;
  });
  const pretrained = stored.filter(([key]) => hasHead || !key.startsWith("classifier."));
  writeSafetensors(join(dir, "model.safetensors"), new Map(pretrained));
}
