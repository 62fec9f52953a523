import { describe, expect, test } from "bun:test";
import type { Backend, Buffer } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { initializeWeights } from "../../core/model/load-weights.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import type { ForwardPass } from "../../core/forward-pass.ts";
import { generationLoss } from "../../core/tasks/generation-loss.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { answerSpanLoss } from "../../core/tasks/span-loss.ts";
import type { Tensor } from "../../core/tensor.ts";
import { type AdaptedModel, adaptModel, declareModel } from "../../core/model/open-model.ts";
import { Trainer, type TrainerOptions } from "../../core/train/trainer.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { deberta } from "../../plugins/deberta/index.ts";
import { available } from "../helpers/available.ts";
import { type TinyBartOptions, tinyBart, tinyBartBatch } from "../helpers/tiny-bart.ts";
import {
  type TinyOptions,
  tinyAllocator,
  tinyBatch,
  tinyConfig,
  tinyModel,
  tinySentence,
  tinyTraining,
} from "../helpers/tiny-model.ts";
import { type TinyModernBertOptions, tinyModernBert } from "../helpers/tiny-modernbert.ts";
import { counted, watched } from "../helpers/watched-backend.ts";
import type { WeightedBatch } from "../../core/tasks/batch.ts";

/** A tiny model with its loss. */
interface Subject {
  readonly adapted: AdaptedModel;
  batch(indices: readonly number[]): WeightedBatch & { loss(pass: ForwardPass): Tensor };
}

function classifier(adapted: AdaptedModel): Subject {
  const lossOf = sequenceLoss(adapted.model, "classification");
  return {
    adapted,
    batch(indices) {
      const batch = tinyBatch(indices);
      return { ...batch, loss: (pass) => lossOf(pass, batch) };
    },
  };
}

const debertaOf =
  (options: TinyOptions) =>
  (backend: Backend): Subject =>
    classifier(tinyModel(backend, { dropout: 0.2, ...options }));

const bartOf =
  (options: TinyBartOptions) =>
  (backend: Backend): Subject => {
    const config = { dropout: 0.2, attention_dropout: 0.3, activation_dropout: 0.25 };
    const { bart, adapted } = tinyBart(backend, { config, ...options });
    const lossOf = generationLoss(bart, { smoothing: 0.1 });
    return {
      adapted,
      batch(indices) {
        const batch = tinyBartBatch(indices);
        return { ...batch, loss: (pass) => lossOf(pass, batch) };
      },
    };
  };

const modernBertOf =
  (options: TinyModernBertOptions) =>
  (backend: Backend): Subject =>
    classifier(tinyModernBert(backend, { dropout: 0.2, ...options }));

/** Padded positions attend to tokens of their window. */
const modernBertSpans = (backend: Backend) =>
  spansOf(tinyModernBert(backend, { method: "full", task: "span", dropout: 0.2 }));

/** Padded positions attend to every position of their row: layers read one more buffer. */
function spans(backend: Backend): Subject {
  const dropout = { hidden: 0.2, attention: 0.2 };
  const head = { task: "span", labels: 2, paddedQueries: "uniform", dropout } as const;
  const declared = declareModel(deberta, deberta.parseConfig(tinyConfig), head);
  const options = { method: "full", modules: null, rank: 0, alpha: 1, dropout: 0 } as const;
  const adapted = adaptModel(declared, options);
  initializeWeights(backend, adapted.tree, 5);
  return spansOf(adapted);
}

function spansOf(adapted: AdaptedModel): Subject {
  const lossOf = answerSpanLoss(adapted.model);
  return {
    adapted,
    batch(indices) {
      const rows = indices.map((i) => tinySentence(i).ids);
      const padding = Int32Array.from(rows, ({ length }) => 8 - length);
      const [starts, ends] = [rows.map(() => 0), rows.map(({ length }) => length)];
      const batch = { ...packSequences(rows), padding, starts, ends };
      return { ...batch, loss: (pass) => lossOf(pass, batch) };
    },
  };
}

const subjects = {
  "DeBERTa, AdaLoRA": debertaOf({}),
  "DeBERTa, all trained": debertaOf({ method: "full" }),
  "DeBERTa, all trained without dropout: layers share one table of positions": debertaOf({
    method: "full",
    dropout: 0,
  }),
  "DeBERTa, own projections of positions, convolution": debertaOf({
    method: "full",
    config: { share_att_key: false, conv_kernel_size: 3, conv_act: "gelu" },
  }),
  "DeBERTa, adapters of the feed-forward blocks": debertaOf({
    method: "lora",
    modules: ["intermediate"],
    config: { num_hidden_layers: 4 }, // the last one keeps little anyway
  }),
  "DeBERTa, spans with rows for padding": spans,
  "ModernBERT, AdaLoRA on parts of a layer": modernBertOf({}),
  "ModernBERT, all trained": modernBertOf({ method: "full" }),
  "ModernBERT, spans with rows for padding": modernBertSpans,
  "BART, AdaLoRA": bartOf({}),
  "BART, all trained": bartOf({ method: "full" }),
};

function trainerOf(
  backend: Backend,
  { adapted: { adapters, trained } }: Subject,
  options: Partial<TrainerOptions>,
) {
  type Batch = ReturnType<Subject["batch"]>;
  const lossOf = (pass: ForwardPass, batch: Batch) => batch.loss(pass);
  const all = { ...tinyTraining, ...options };
  return new Trainer<Batch>(backend, { adapters, trained, lossOf }, all);
}

/** Trains some steps of two micro-batches and returns all reports, gradients and values. */
function train(backend: Backend, make: (backend: Backend) => Subject, checkpointing: boolean) {
  const subject = make(backend);
  const prunes = subject.adapted.adapters.length === 12;
  const allocator = prunes ? tinyAllocator : undefined;
  const trainer = trainerOf(backend, subject, { checkpointing, allocator });
  const start = backend.memory().live;
  const numbers = Array.from({ length: 7 }, (_, i) => {
    const report = trainer.step([subject.batch([i, i + 1, i + 2]), subject.batch([i + 5])]);
    expect(backend.memory().live).toBe(start);
    return { report, gradients: Float64Array.from(backend.download(trainer.arena.gradients)) };
  });
  const values = Float64Array.from(backend.download(trainer.arena.values));
  return { numbers, values, peak: backend.memory().peak - start };
}

const cpu = await available(() => createCpuBackend({ threads: 1 }));
const narrow = await available(() => createCpuBackend({ threads: 1, dtype: "bf16" }));
const devices = {
  "reference, f64": () => Promise.resolve(createReferenceBackend()),
  "cpu, f32": cpu.backend && (() => createCpuBackend({ threads: 1 })),
  "cpu, bf16": narrow.backend && (() => createCpuBackend({ threads: 1, dtype: "bf16" })),
};

describe.each(Object.entries(subjects))("%s", (_name, make) => {
  for (const [device, create] of Object.entries(devices)) {
    let trained: ReturnType<typeof train> | undefined;
    const plain = async () => (trained ??= train(await create!(), make, false));

    test.skipIf(!create)(`on ${device}: the same bits in less memory`, async () => {
      const less = train(await create!(), make, true);
      expect(less.numbers).toEqual((await plain()).numbers);
      expect(less.values).toEqual((await plain()).values);
      expect(less.peak).toBeLessThan((await plain()).peak);
    });

    test.skipIf(!create)(`on ${device}: what a layer reads lives until backward`, async () => {
      const less = train(poisonFreed(await create!()), scoped(make), true);
      expect(less.numbers).toEqual((await plain()).numbers);
    });
  }
});

/** The subject with its forward in a scope: before backward, everything but the loss is freed. */
const scoped = (make: (backend: Backend) => Subject) => (backend: Backend) => {
  const subject = make(backend);
  const batch = (indices: readonly number[]) => {
    const inner = subject.batch(indices);
    return { ...inner, loss: (pass: ForwardPass) => pass.scope(() => inner.loss(pass)) };
  };
  return { ...subject, batch };
};

/** Wraps `backend` to fill buffers with NaN as they are freed. */
function poisonFreed(backend: Backend): Backend {
  const allocated = new Set<Buffer>();
  return {
    ...backend,
    alloc(dtype, length) {
      const buffer = backend.alloc(dtype, length);
      allocated.add(buffer);
      return buffer;
    },
    free(buffer) {
      const nothing = buffer.dtype === "i32" ? 0 : Number.NaN;
      if (allocated.delete(buffer))
        backend.upload(buffer, new Float64Array(buffer.length).fill(nothing));
      backend.free(buffer);
    },
  };
}

test("one more layer costs only the memory of its input", () => {
  const peakOf = (layers: number) => {
    const make = debertaOf({ dropout: 0, config: { num_hidden_layers: layers } });
    const backend = createReferenceBackend();
    const subject = make(backend);
    const trainer = trainerOf(backend, subject, { checkpointing: true });
    const start = backend.memory().live;
    trainer.step([subject.batch([0, 1, 2, 3])]);
    return backend.memory().peak - start;
  };
  const tokens = tinyBatch([0, 1, 2, 3]).ids.length;
  expect(peakOf(6) - peakOf(2)).toBe(4 * tokens * tinyConfig.hidden_size * 8);
});

describe("layers without a gradient", () => {
  /** A step that trains the classifier and the last bias of a layer. */
  const step = (layer: number | undefined, layers = 3) => {
    const { backend, calls } = counted(createReferenceBackend());
    const subject = debertaOf({ method: "bitfit", config: { num_hidden_layers: layers } })(backend);
    const trained = subject.adapted.trained.filter((parameter) => {
      const { name } = parameter;
      const bias = `deberta.encoder.layer.${layer}.output.dense.bias`;
      parameter.requiresGrad = name === bias || name.startsWith("classifier");
      return parameter.requiresGrad;
    });
    const adapted = { ...subject.adapted, trained };
    const trainer = trainerOf(backend, { ...subject, adapted }, { checkpointing: true });
    const start = backend.memory().live;
    trainer.step([subject.batch([1])]);
    return { attentions: calls("disentangledAttention"), peak: backend.memory().peak - start };
  };

  test("are not rerun", () =>
    expect([undefined, 2, 1, 0].map((layer) => step(layer).attentions)).toEqual([3, 4, 5, 6]));

  test("keep nothing", () => expect(step(undefined, 6).peak).toBe(step(undefined, 3).peak));
});

test("a layer that throws when it is rerun frees what the tape held", () => {
  const reference = createReferenceBackend();
  let calls = 0;
  const backend = watched(reference, (name) => {
    if (name === "disentangledAttention" && ++calls === 4) throw new Error("out of order");
  });
  const subject = debertaOf({})(backend); // two layers: the fourth attention is the first layer's second
  const trainer = trainerOf(backend, subject, { checkpointing: true });
  const start = reference.memory().live;
  expect(() => trainer.step([subject.batch([0, 1])])).toThrow("out of order");
  expect(reference.memory().live).toBe(start);
  trainer.step([subject.batch([0, 1])]);
  expect(reference.memory().live).toBe(start);
});
