import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { initializeWeights } from "../../../core/model/load-weights.ts";
import { type TokenBatch, packSequences } from "../../../core/nn/packed-batch.ts";
import type { TaskHead } from "../../../core/model/plugin.ts";
import { ParameterArena } from "../../../core/optim/parameter-arena.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { sequenceLoss } from "../../../core/tasks/sequence-loss.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { declareModel } from "../../../core/model/open-model.ts";
import { deberta } from "../../../plugins/deberta/index.ts";
import { tinyConfig, tinyModel, tinySentence } from "../../helpers/tiny-model.ts";

const variants: [name: string, config: object][] = [
  ["v3", {}],
  ["own position projections", { share_att_key: false }],
  ["content to position alone", { pos_att_type: "c2p" }],
  ["position to content alone", { pos_att_type: "p2c" }],
  ["no relative attention", { relative_attention: false, pos_att_type: [] }],
  ["raw offsets", { position_buckets: -1, max_relative_positions: 3 }],
  ["absolute positions and segments", { position_biased_input: true, type_vocab_size: 2 }],
  ["the convolution of v2-xlarge", { conv_kernel_size: 3, conv_act: "gelu" }],
  ["narrow embeddings", { embedding_size: 6 }],
];

function model(config: object) {
  const backend = createReferenceBackend();
  const { model: built } = tinyModel(backend, { method: "full", config });
  return (batch: TokenBatch): number[] => {
    let logits: number[] = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      logits = Array.from(backend.download(built.forward(pass, batch).buffer));
    });
    return logits;
  };
}

const sentences = [3, 0, 5, 2, 1].map((i) => tinySentence(i).ids);
const typesOf = (ids: readonly number[]) => ids.map((_, i) => (i < 2 ? 0 : 1));
const pack = (rows: readonly number[][]) => packSequences(rows, rows.map(typesOf));

function expectClose(got: readonly number[], want: readonly number[]): void {
  expect(got).toHaveLength(want.length);
  got.forEach((x, i) => expect(x).toBeCloseTo(want[i] ?? NaN, 13));
}

describe("logits do not depend on the rest of the batch", () => {
  for (const [name, config] of variants)
    test(name, () => {
      const logits = model(config);
      const together = logits(pack(sentences));
      const alone = sentences.flatMap((ids) => logits(pack([ids])));
      expectClose(together, alone);
      const turned = logits(pack(sentences.toReversed()));
      expectClose(turned.slice(-2), together.slice(0, 2));
      expect(new Set(together.map((x) => x.toFixed(9))).size).toBe(10); // and the sentences differ
    });
});

describe("the last layer computes only the rows that are read, or all rows when observed", () => {
  for (const [name, config] of variants)
    test(name, () => {
      const backend = createReferenceBackend();
      const batch = { ...pack(sentences), labels: [0, 1, 0, 1, 1] };
      const [seen, unseen] = [true, false].map((observed) => {
        const { model: built, tree } = tinyModel(backend, { method: "full", config });
        const arena = new ParameterArena(backend, [], [...tree.parameters.values()]);
        const rows: number[] = [];
        const observe = (_: string, tensor: Tensor) => void rows.push(tensor.shape[0] ?? 0);
        const pass = new ForwardPass(backend, { training: true, ...(observed && { observe }) });
        pass.scope(() => pass.tape.backward(sequenceLoss(built, "classification")(pass, batch), 1));
        return { rows, gradients: Array.from(backend.download(arena.gradients)) };
      });
      expect(seen!.rows).toEqual([batch.ids.length, batch.ids.length, batch.ids.length]);
      expectClose(unseen!.gradients, seen!.gradients);
      expect(Math.hypot(...seen!.gradients)).toBeGreaterThan(1e-3);
    });
});

describe("positions", () => {
  const ids = [9, 12, 15, 10];
  const at = (...positions: number[]): TokenBatch => ({
    ...packSequences([ids], [typesOf(ids)]),
    positions: Int32Array.from(positions),
  });

  test("a hole that padding left shifts the positions after it", () => {
    for (const [, config] of variants.filter(([name]) => name !== "no relative attention")) {
      const logits = model(config);
      expect(Math.abs(logits(at(0, 1, 2, 3))[0]! - logits(at(0, 1, 3, 4))[0]!)).toBeGreaterThan(
        1e-4,
      );
    }
  });

  test("relative positions only: the start of a sentence does not matter", () => {
    const logits = model({});
    expectClose(logits(at(5, 6, 7, 8)), logits(at(0, 1, 2, 3)));
    const absolute = model({ position_biased_input: true });
    expect(Math.abs(absolute(at(5, 6, 7, 8))[0]! - absolute(at(0, 1, 2, 3))[0]!)).toBeGreaterThan(
      1e-4,
    );
  });

  test("without positions the order of later words does not matter to the first token", () => {
    const logits = model({ relative_attention: false, pos_att_type: [] });
    expectClose(logits(pack([[9, 12, 15, 10]])), logits(pack([[9, 10, 15, 12]])));
    const v3 = model({});
    expect(v3(pack([[9, 12, 15, 10]]))[0]).not.toBeCloseTo(
      v3(pack([[9, 10, 15, 12]]))[0] ?? NaN,
      4,
    );
  });

  test("a segment that the model has no embedding of is an error", () => {
    const logits = model({ type_vocab_size: 1 });
    expect(logits(packSequences([ids], [ids.map(() => 0)]))).toHaveLength(2);
    expect(() => logits(packSequences([ids], [ids.map((_, i) => Math.min(i, 1))]))).toThrow(
      'config.json: "type_vocab_size" must be above 1, the last segment of these texts, got 1',
    );
  });

  test("every word attends to the others, and segments count if the model has them", () => {
    const logits = model({ type_vocab_size: 2 });
    const [zeros, ones] = [0, 1].map((type) => logits(packSequences([ids], [ids.map(() => type)])));
    expect(Math.abs(zeros![0]! - ones![0]!)).toBeGreaterThan(1e-4);
    expectClose(logits(packSequences([ids])), zeros!); // none given: all of the first segment
  });
});

describe("parameters", () => {
  const namesOf = (config: object) => {
    const parsed = deberta.parseConfig({ ...tinyConfig, num_hidden_layers: 1, ...config });
    const { tree } = declareModel(deberta, parsed, { task: "classification", labels: 3 });
    return [...tree.parameters.values()].map((p) => `${p.name} [${p.storedShape.join(", ")}]`);
  };
  const added = (config: object) => {
    const before = new Set(namesOf({}));
    return namesOf(config).filter((name) => !before.has(name));
  };

  test("of one layer of v3, by the checkpoint's names", () => {
    const layer = "deberta.encoder.layer.0";
    const linear = (path: string, out: number, width: number) => [
      `${path}.weight [${out}, ${width}]`,
      `${path}.bias [${out}]`,
    ];
    const norm = (path: string) => [`${path}.LayerNorm.weight [8]`, `${path}.LayerNorm.bias [8]`];
    expect(namesOf({}).toSorted()).toEqual(
      [
        "deberta.embeddings.word_embeddings.weight [24, 8]",
        ...norm("deberta.embeddings"),
        "deberta.encoder.rel_embeddings.weight [8, 8]",
        ...norm("deberta.encoder"),
        ...linear(`${layer}.attention.self.query_proj`, 8, 8),
        ...linear(`${layer}.attention.self.key_proj`, 8, 8),
        ...linear(`${layer}.attention.self.value_proj`, 8, 8),
        ...linear(`${layer}.attention.output.dense`, 8, 8),
        ...norm(`${layer}.attention.output`),
        ...linear(`${layer}.intermediate.dense`, 12, 8),
        ...linear(`${layer}.output.dense`, 8, 12),
        ...norm(`${layer}.output`),
        ...linear("pooler.dense", 8, 8),
        ...linear("classifier", 3, 8),
      ].toSorted(),
    );
  });

  test("of the variants", () => {
    expect(added({ share_att_key: false }).map((name) => name.replace(/^.*self\./, ""))).toEqual([
      "pos_key_proj.weight [8, 8]",
      "pos_key_proj.bias [8]",
      "pos_query_proj.weight [8, 8]",
      "pos_query_proj.bias [8]",
    ]);
    expect(added({ share_att_key: false, pos_att_type: "c2p" })).toHaveLength(2);
    expect(added({ conv_kernel_size: 3 })).toEqual([
      "deberta.encoder.conv.conv.weight [8, 8, 3]",
      "deberta.encoder.conv.conv.bias [8]",
      "deberta.encoder.conv.LayerNorm.weight [8]",
      "deberta.encoder.conv.LayerNorm.bias [8]",
    ]);
    expect(added({ position_biased_input: true, type_vocab_size: 2 })).toEqual([
      "deberta.embeddings.position_embeddings.weight [16, 8]",
      "deberta.embeddings.token_type_embeddings.weight [2, 8]",
    ]);
    expect(added({ embedding_size: 6 })).toEqual([
      "deberta.embeddings.word_embeddings.weight [24, 6]",
      "deberta.embeddings.embed_proj.weight [8, 6]",
    ]);
    expect(namesOf({ relative_attention: false }).some((name) => /rel_embeddings/.test(name))).toBe(
      false,
    );
    expect(namesOf({ norm_rel_ebd: "none" })).not.toContain("deberta.encoder.LayerNorm.weight [8]");
  });
});

describe("dropout", () => {
  /**
   * The dropout probabilities of a model with one layer, in the order of their sites; undefined
   * where nothing is dropped.
   */
  const drawn = (checkpoint: object, dropout: TaskHead["dropout"], training = true) => {
    const backend = createReferenceBackend();
    const config = deberta.parseConfig({ ...tinyConfig, num_hidden_layers: 1, ...checkpoint });
    const head = { task: "classification", labels: 2, ...(dropout && { dropout }) } as const;
    const { model: built, tree } = declareModel(deberta, config, head);
    initializeWeights(backend, tree, 1);
    const pass = new ForwardPass(backend, { training });
    const probabilities: (number | undefined)[] = [];
    const next = pass.nextDropout.bind(pass);
    pass.nextDropout = (probability) => {
      const mask = next(probability);
      probabilities.push(mask?.probability);
      return mask;
    };
    pass.scope(() => {
      built.forward(pass, packSequences([[9, 10, 11]]));
    });
    return probabilities;
  };
  const checkpoint = {
    hidden_dropout_prob: 0.1,
    attention_probs_dropout_prob: 0.2,
    pooler_dropout: 0.3,
    cls_dropout: 0.4,
  };

  // embeddings, position embeddings, attention, its output, feed-forward output, before the pooler,
  // before the classifier
  const places: [what: string, overrides: TaskHead["dropout"], due: number[]][] = [
    ["the checkpoint's own", undefined, [0.1, 0.1, 0.2, 0.1, 0.1, 0.3, 0.4]],
    ["overridden", { hidden: 0.5, attention: 0.6, head: 0.7 }, [0.5, 0.5, 0.6, 0.5, 0.5, 0.3, 0.7]],
    ["overridden in part", { head: 0.05 }, [0.1, 0.1, 0.2, 0.1, 0.1, 0.3, 0.05]],
  ];
  for (const [what, overrides, expected] of places)
    test(`${what}, at seven sites`, () => expect(drawn(checkpoint, overrides)).toEqual(expected));

  test("the classifier's defaults to the hidden one", () => {
    const { cls_dropout: _, ...silent } = checkpoint;
    silent.hidden_dropout_prob = 0.15;
    expect(drawn(silent, undefined).at(-1)).toBe(0.15);
    expect(drawn({ ...silent, cls_dropout: null }, undefined).at(-1)).toBe(0.15);
    expect(drawn({ ...silent, cls_dropout: 0 }, undefined).at(-1)).toBeUndefined();
  });

  test("evaluation draws none", () => {
    expect(drawn(checkpoint, undefined, false)).toEqual(Array<undefined>(7).fill(undefined));
  });
});
