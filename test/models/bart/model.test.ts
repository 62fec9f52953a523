import { describe, expect, test } from "bun:test";
import { selectLinears } from "../../../core/model/select-linears.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ModuleScope } from "../../../core/nn/module-scope.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { crossEntropy } from "../../../core/ops/losses.ts";
import type { GenerationModel, TaskHead } from "../../../core/model/plugin.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { generationLoss } from "../../../core/tasks/generation-loss.ts";
import { buildBart } from "../../../models/bart/model.ts";
import { bart as plugin } from "../../../plugins/bart/index.ts";
import { tinyBart, tinyBartBatch, tinyBartConfig, tinyPair } from "../../helpers/tiny-bart.ts";

const VOCABULARY = tinyBartConfig.vocab_size;
const backend = createReferenceBackend();

function logitsOf(bart: GenerationModel, batch: ReturnType<typeof tinyBartBatch>): number[] {
  let logits: number[] = [];
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    logits = Array.from(backend.download(bart.forward(pass, batch).buffer));
  });
  return logits;
}

function expectClose(got: readonly number[], want: readonly number[]): void {
  expect(got).toHaveLength(want.length);
  got.forEach((x, i) => expect(x).toBeCloseTo(want[i] ?? NaN, 12));
}

describe("logits", () => {
  const pairs = [3, 0, 5, 2, 1];
  for (const config of [{}, { scale_embedding: true, activation_function: "relu" }])
    test(`do not depend on the rest of the batch: ${JSON.stringify(config)}`, () => {
      const { bart } = tinyBart(backend, { config });
      const together = logitsOf(bart, tinyBartBatch(pairs));
      expectClose(
        together,
        pairs.flatMap((pair) => logitsOf(bart, tinyBartBatch([pair]))),
      );
      expect(new Set(together.map((x) => x.toFixed(9))).size).toBe(together.length);
    });

  test("of a target row depend on the source and the earlier tokens only", () => {
    const { bart } = tinyBart(backend);
    const [source, target] = [tinyPair(3).source, [5, 6, 7, 8]];
    const rows = (changed: Partial<{ source: number[]; target: number[] }>) => {
      const logits = logitsOf(bart, tinyBartBatch([{ source, target, ...changed }]));
      return [0, 1, 2, 3].map((r) => logits.slice(r * VOCABULARY, (r + 1) * VOCABULARY).join());
    };
    const before = rows({});
    const same = (after: string[]) => after.map((row, i) => row === before[i]);
    // the third row reads the second label
    expect(same(rows({ target: [5, 9, 7, 8] }))).toEqual([true, true, false, false]);
    expect(same(rows({ source: [...source.slice(0, -1), 9] }))).toEqual([
      false,
      false,
      false,
      false,
    ]);
  });

  test("equal those of decoding token by token, with the source encoded once", () => {
    const { bart } = tinyBart(backend);
    const batch = tinyBartBatch([{ source: tinyPair(3).source, target: [5, 6, 7] }]);
    const written: number[] = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const source = bart.encode(pass, batch);
      for (let length = 1; length <= 3; length++) {
        pass.scope(() => {
          const prefix = packSequences([batch.target.ids.subarray(0, length)]);
          const logits = bart.logits(pass, bart.decode(pass, prefix, source));
          written.push(...backend.download(logits.buffer).slice(-VOCABULARY));
        });
      }
    });
    expectClose(written, logitsOf(bart, batch));
  });

  test("change with a hole that padding left in the source's positions", () => {
    const { bart } = tinyBart(backend);
    const batch = tinyBartBatch([{ source: [5, 6, 7], target: [8, 9] }]);
    const moved = { ...batch, positions: Int32Array.of(0, 1, 3) };
    const difference = logitsOf(bart, batch)[0]! - logitsOf(bart, moved)[0]!;
    expect(Math.abs(difference)).toBeGreaterThan(1e-4);
  });

  test("use the word embeddings (tied) and the checkpoint's bias", () => {
    const { bart, adapted } = tinyBart(backend);
    const batch = tinyBartBatch([1]);
    const before = logitsOf(bart, batch);
    const bias = adapted.tree.parameters.get("final_logits_bias");
    if (!bias) throw new Error("no bias");
    backend.upload(
      bias.buffer,
      Float64Array.from({ length: VOCABULARY }, (_, word) => word / 10),
    );
    expectClose(
      logitsOf(bart, batch),
      before.map((x, i) => x + (i % VOCABULARY) / 10),
    );
  });
});

test("the loss is the cross entropy of the logits", () => {
  const { bart } = tinyBart(backend);
  const batch = tinyBartBatch([3, 0, 5]);
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    const labels = pass.integers(batch.labels);
    const want = crossEntropy(pass, { logits: bart.forward(pass, batch) }, { labels });
    const got = generationLoss(bart, { smoothing: 0 })(pass, batch);
    expect(backend.download(got.buffer)[0]).toBeCloseTo(backend.download(want.buffer)[0]!, 13);
  });
});

describe("bart-large", () => {
  const large = {
    vocab_size: 50_265,
    d_model: 1024,
    encoder_layers: 12,
    decoder_layers: 12,
    encoder_attention_heads: 16,
    decoder_attention_heads: 16,
    encoder_ffn_dim: 4096,
    decoder_ffn_dim: 4096,
  };
  const scope = ModuleScope.root();
  const config = plugin.parseConfig(large);
  buildBart(config, { task: "generation", labels: 0 }, scope);
  const linears = selectLinears(scope.tree, plugin);

  test("has 192 matrices to adapt, with 540,864 parameters per rank", () => {
    expect(linears).toHaveLength(192);
    const numbers = linears.map(({ inFeatures, outFeatures }) => inFeatures + outFeatures + 1);
    expect(numbers.reduce((a, b) => a + b, 0)).toBe(540_864);
  });

  test("has 406,291,456 trainable parameters, and a constant bias of the logits", () => {
    const all = [...scope.tree.parameters.values()];
    const trainable = all.filter(({ constant }) => !constant);
    expect(trainable.reduce((sum, { length }) => sum + length, 0)).toBe(406_291_456);
    expect(all.filter(({ constant }) => constant).map(({ name }) => name)).toEqual([
      "final_logits_bias",
    ]);
  });
});

describe("dropout", () => {
  /**
   * The dropout probabilities of a model with one layer per side, in the order of their sites.
   */
  const drawn = (dropout: TaskHead["dropout"], training = true) => {
    const config = {
      encoder_layers: 1,
      decoder_layers: 1,
      dropout: 0.1,
      attention_dropout: 0.2,
      activation_dropout: 0.3,
    };
    const { bart } = tinyBart(backend, { config, ...(dropout && { dropout }) });
    const pass = new ForwardPass(backend, { training });
    const probabilities: (number | undefined)[] = [];
    const next = pass.nextDropout.bind(pass);
    pass.nextDropout = (probability) => {
      const mask = next(probability);
      probabilities.push(mask?.probability);
      return mask;
    };
    pass.scope(() => {
      bart.forward(pass, tinyBartBatch([1]));
      pass.tape.clear();
    });
    return probabilities;
  };
  // embeddings; attention and its output, cross-attention and its output; after the activation,
  // feed-forward output
  const places = (hidden: number, attention: number, activation: number) => {
    const encoder = [hidden, attention, hidden, activation, hidden];
    const decoder = [hidden, attention, hidden, attention, hidden, activation, hidden];
    return [...encoder, ...decoder];
  };

  test("the checkpoint's, at twelve sites", () =>
    expect(drawn(undefined)).toEqual(places(0.1, 0.2, 0.3)));
  test("overridden", () =>
    expect(drawn({ hidden: 0.5, attention: 0.6 })).toEqual(places(0.5, 0.6, 0.3)));
  test("overridden in part", () => expect(drawn({ hidden: 0.5 })).toEqual(places(0.5, 0.2, 0.3)));
  test("evaluation draws none", () =>
    expect(drawn(undefined, false)).toEqual(Array<undefined>(12).fill(undefined)));
});
