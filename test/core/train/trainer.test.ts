import { describe, expect, test } from "bun:test";
import type { AllocatorRule } from "../../../core/adalora/allocator.ts";
import type { Backend } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { StepReport } from "../../../core/train/step-report.ts";
import type { Trainer, TrainerOptions } from "../../../core/train/trainer.ts";
import {
  type TinyOptions,
  tinyAllocator,
  tinyBatch,
  tinyModel,
  tinyTrainer,
} from "../../helpers/tiny-model.ts";

const rows = [0, 1, 2, 3, 4, 5, 6, 7];

function create(options: Partial<TrainerOptions> = {}, model: TinyOptions = {}) {
  const backend = createReferenceBackend();
  const adapted = tinyModel(backend, model);
  const trainer = tinyTrainer(backend, adapted, options, model.labels);
  return { backend, adapted, trainer };
}

const valuesOf = (backend: Backend, { arena }: Trainer) =>
  Array.from(backend.download(arena.values));

function worst(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let error = got.length === want.length ? 0 : Infinity;
  for (let i = 0; i < want.length; i++) error = Math.max(error, Math.abs(got[i]! - want[i]!));
  return error;
}

describe("gradient accumulation", () => {
  const gradientsOf = (batches: readonly (readonly number[])[], labels: number) => {
    const { backend, trainer } = create({}, { labels });
    const report = trainer.step(batches.map(tinyBatch));
    return { report, gradients: backend.download(trainer.arena.gradients) };
  };

  for (const labels of [2, 1])
    test(`micro-batches of 3 and 5 rows equal one batch of 8 (${labels} labels)`, () => {
      const single = gradientsOf([rows], labels);
      const parts = gradientsOf([rows.slice(0, 3), rows.slice(3)], labels);
      expect(worst(parts.gradients, single.gradients)).toBeLessThan(1e-12);
      expect(worst(single.gradients, new Float64Array(single.gradients.length))).toBeGreaterThan(
        0.01,
      );
      expect(parts.report.taskLoss).toBeCloseTo(single.report.taskLoss, 12);
      expect(parts.report.gradNorm).toBeCloseTo(single.report.gradNorm, 12);
      expect(parts.report.orthogonalityLoss).toBe(single.report.orthogonalityLoss);
    });

  test("each micro-batch draws its own dropout masks", () => {
    const lossOf = (batches: readonly number[][]) =>
      create({}, { dropout: 0.3 }).trainer.step(batches.map(tinyBatch)).taskLoss;
    expect(
      lossOf([
        [0, 1],
        [0, 1],
      ]),
    ).not.toBe(lossOf([[0, 1]]));
    const plain = (batches: readonly number[][]) =>
      create().trainer.step(batches.map(tinyBatch)).taskLoss;
    expect(
      plain([
        [0, 1],
        [0, 1],
      ]),
    ).toBeCloseTo(plain([[0, 1]]), 14);
  });

  test("steps and passes are counted separately", () => {
    const { trainer } = create();
    trainer.step([tinyBatch([0]), tinyBatch([1])]);
    trainer.step([tinyBatch([2])]);
    expect([trainer.steps, trainer.passes]).toEqual([2, 3]);
  });
});

describe("determinism", () => {
  const metricsOf = (options: Partial<TrainerOptions>, model: TinyOptions) => {
    const { backend, trainer } = create({ allocator: tinyAllocator, ...options }, model);
    const reports = [0, 1, 2, 3, 4, 5].map((i) => trainer.step([tinyBatch([i, i + 1, i + 2])]));
    return { reports, values: valuesOf(backend, trainer) };
  };
  const dropout = 0.2;

  test("the same seeds give bit-identical results", () => {
    expect(metricsOf({ seed: 3 }, { dropout })).toEqual(metricsOf({ seed: 3 }, { dropout }));
  });

  test("another dropout seed changes them", () => {
    const [a, b] = [metricsOf({ seed: 3 }, { dropout }), metricsOf({ seed: 4 }, { dropout })];
    expect(a.reports[0]?.taskLoss).not.toBe(b.reports[0]?.taskLoss);
    const high = metricsOf({ seed: 2 ** 32 + 3 }, { dropout });
    expect(a.reports[0]?.taskLoss).not.toBe(high.reports[0]?.taskLoss);
  });

  test("another weight seed changes them", () => {
    const [a, b] = [metricsOf({}, { seed: 1 }), metricsOf({}, { seed: 2 })];
    expect(a.reports[0]?.taskLoss).not.toBe(b.reports[0]?.taskLoss);
  });

  test("without dropout the trainer's seed has no effect", () => {
    expect(metricsOf({ seed: 3 }, {})).toEqual(metricsOf({ seed: 4 }, {}));
  });
});

describe("consecutive steps", () => {
  test("start with zero gradients", () => {
    const { trainer } = create({ learningRate: () => 0, maxGradNorm: 0 });
    const [first, second] = [0, 1].map(() => trainer.step([tinyBatch(rows)]));
    expect(second).toEqual({ ...first!, step: 1 });
  });

  test("correct Adam's bias by step: a constant gradient moves parameters equally far each time", () => {
    const { backend, trainer } = create({ learningRate: () => 1e-9, maxGradNorm: 0 });
    const values = () => Float64Array.from(valuesOf(backend, trainer));
    const moves: Float64Array[] = [];
    for (let i = 0; i < 3; i++) {
      const before = values();
      trainer.step([tinyBatch(rows)]);
      moves.push(values().map((x, p) => x - before[p]!));
    }
    const gradients = backend.download(trainer.arena.gradients);
    let compared = 0;
    gradients.forEach((g, p) => {
      if (Math.abs(g) < 1e-3) return; // eps matters there
      compared++;
      for (const move of moves) expect(Math.abs(move[p]! / moves[0]![p]! - 1)).toBeLessThan(1e-3);
    });
    expect(compared).toBeGreaterThan(50);
  });
});

describe("a step's report", () => {
  test("has the step, its learning rate and budget, and the threshold if triplets were pruned", () => {
    const { trainer } = create({
      allocator: tinyAllocator,
      learningRate: (step) => 0.01 * (step + 1),
    });
    const reports = rows.map(() => trainer.step([tinyBatch(rows)]));
    expect(reports.map(({ step }) => step)).toEqual(rows);
    expect(reports.map(({ learningRate }) => learningRate)).toEqual(
      rows.map((step) => 0.01 * (step + 1)),
    );
    expect(reports.map(({ mask }) => mask !== undefined)).toEqual(
      rows.map((s) => s === 4 || s === 6),
    );
    expect(reports.map(({ budget }) => budget)).toEqual([36, 36, 36, 28, 23, 20, 18, 18]);
    for (const { threshold, mask } of reports)
      expect(threshold === undefined).toBe(mask === undefined);
  });

  test("has the gradient norm before clipping", () => {
    const norms = [0, 0.1].map((maxGradNorm) => {
      const { backend, trainer } = create({ maxGradNorm });
      const { gradNorm } = trainer.step([tinyBatch(rows)]);
      const gradients = Float64Array.from(backend.download(trainer.arena.gradients));
      const left = gradients.reduce((sum, g) => sum + g * g, 0);
      return { gradNorm, left: Math.sqrt(left) };
    });
    const [free, clipped] = norms;
    expect(free?.gradNorm).toBeCloseTo(free?.left ?? NaN, 12);
    expect(clipped?.gradNorm).toBe(free?.gradNorm ?? NaN);
    expect(free?.gradNorm).toBeGreaterThan(0.1);
    expect(clipped?.left).toBeCloseTo(0.1, 5);
  });

  test("reports task loss and orthogonality loss separately", () => {
    const [off, on] = [0, 0.7].map((orthogonality) =>
      create({ orthogonality }).trainer.step([tinyBatch(rows)]),
    );
    expect(off?.taskLoss).toBe(on?.taskLoss ?? NaN);
    expect(off?.orthogonalityLoss).toBe(0);
    expect(on?.orthogonalityLoss).toBeGreaterThan(1); // far from orthonormal: about sqrt(3)
    expect(on?.gradNorm).toBeGreaterThan(off?.gradNorm ?? NaN);
  });

  test("has no budget without an allocator", () => {
    const { trainer } = create({}, { method: "svd-lora" });
    const report = trainer.step([tinyBatch(rows)]);
    expect(report).toMatchObject({ budget: undefined, threshold: undefined, mask: undefined });
  });
});

describe("what each method trains", () => {
  const changedBy = (method: NonNullable<TinyOptions["method"]>) => {
    const allocator = method === "adalora" || method === "prune-lora" ? tinyAllocator : undefined;
    const { backend, adapted, trainer } = create({ allocator }, { method });
    const all = [
      ...adapted.tree.parameters.values(),
      ...adapted.adapters.flatMap(({ a, e, b }) => (e ? [a, e, b] : [a, b])),
    ];
    const snapshot = () => all.map(({ buffer }) => Array.from(backend.download(buffer)).join());
    const before = snapshot();
    for (let i = 0; i < 3; i++) trainer.step([tinyBatch(rows)]);
    const after = snapshot();
    const kindOf = (name: string) =>
      /lora_[ABE]$/.exec(name)?.[0] ??
      (/^(pooler|classifier)/.test(name)
        ? "head"
        : name.endsWith(".bias")
          ? "bias"
          : "backbone weight");
    return new Set(all.filter((_, i) => before[i] !== after[i]).map(({ name }) => kindOf(name)));
  };

  test("adalora: A, E, B and the head; the backbone is unchanged to the bit", () =>
    expect(changedBy("adalora")).toEqual(new Set(["lora_A", "lora_E", "lora_B", "head"])));
  test("lora: A, B and the head", () =>
    expect(changedBy("lora")).toEqual(new Set(["lora_A", "lora_B", "head"])));
  test("bitfit: biases and the head", () =>
    expect(changedBy("bitfit")).toEqual(new Set(["bias", "head"])));
  test("full: everything", () =>
    expect(changedBy("full")).toEqual(new Set(["bias", "head", "backbone weight"])));
});

describe("ranks in training", () => {
  test("ranks follow the mask even if Adam revives pruned triplets; finish zeroes them again", () => {
    const { backend, trainer } = create({ allocator: tinyAllocator });
    const eOf = () =>
      trainer.adapters.map(({ e }) => (e ? Array.from(backend.download(e.buffer)) : []));
    const step = () => trainer.step([tinyBatch(rows)]);
    for (let i = 0; i < 5; i++) step();
    const kept = trainer.kept(); // masked in step 4
    expect(eOf().map((e) => e.map((x) => x !== 0))).toEqual(kept.map((k) => [...k]));
    expect(kept.flat().filter(Boolean)).toHaveLength(23);
    step();
    expect(trainer.kept()).toEqual(kept);
    expect(
      eOf()
        .flat()
        .every((x) => x !== 0),
    ).toBe(true); // all revived
    trainer.finish();
    expect(eOf().map((e) => e.map((x) => x !== 0))).toEqual(kept.map((k) => [...k]));
    expect(trainer.kept()).toEqual(kept);
  });

  test("a complete schedule ends at the target, and training continues throughout", () => {
    const { trainer } = create({ allocator: tinyAllocator });
    const reports: StepReport[] = [];
    for (let i = 0; i < 12; i++) reports.push(trainer.step([tinyBatch(rows)]));
    expect(trainer.kept().flat().filter(Boolean)).toHaveLength(18);
    expect(reports.at(-1)?.taskLoss).toBeLessThan(0.6 * (reports[0]?.taskLoss ?? NaN));
  });

  test("training continues with modules at rank 0, in the end all of them", () => {
    const schedule = { ...tinyAllocator.schedule, target: 0 };
    const { backend, trainer } = create({ allocator: { ...tinyAllocator, schedule } });
    for (let i = 0; i < 12; i++) {
      const { taskLoss, gradNorm } = trainer.step([tinyBatch(rows)]);
      expect(Number.isFinite(taskLoss + gradNorm)).toBe(true);
    }
    expect(trainer.kept().flat().some(Boolean)).toBe(false);
    expect(valuesOf(backend, trainer).every(Number.isFinite)).toBe(true);
  });

  test("prune-lora zeroes complete doublets", () => {
    const { backend, trainer } = create(
      { allocator: tinyAllocator, orthogonality: 0 },
      { method: "prune-lora" },
    );
    for (let i = 0; i < 12; i++) trainer.step([tinyBatch(rows)]);
    trainer.finish();
    const kept = trainer.kept();
    expect(kept.flat().filter(Boolean)).toHaveLength(18);
    trainer.adapters.forEach(({ a, b, rank }, m) => {
      const [A, B] = [backend.download(a.buffer), backend.download(b.buffer)];
      for (let r = 0; r < rank; r++) {
        const row = A.subarray(r * (a.length / rank), (r + 1) * (a.length / rank));
        const column = B.filter((_, i) => i % rank === r);
        expect([row.some((x) => x !== 0), column.some((x) => x !== 0)]).toEqual([
          kept[m]![r]!,
          kept[m]![r]!,
        ]);
      }
    });
  });
});

test("the loss is the mean over rows: micro-batches are weighted by their rows", () => {
  const lossOf = (i: number) => create().trainer.step([tinyBatch([i])]).taskLoss;
  const losses = [0, 1, 2, 3].map(lossOf);
  const { trainer } = create();
  const { taskLoss } = trainer.step([tinyBatch([0]), tinyBatch([1, 2, 3])]);
  expect(taskLoss).toBeCloseTo(losses.reduce((a, b) => a + b) / 4, 12);
});

describe("an allocator's state that a checkpoint could not hold is refused:", () => {
  const withState = (dtype: "i32" | "f64", name: string) => () => {
    const rule: AllocatorRule = {
      about: "keeps all",
      create: ({ backend }) => ({
        importanceAt: () => undefined,
        afterStep: () => ({ budget: 0, masked: false }),
        applyMask() {},
        state: { [name]: backend.alloc(dtype, 1) },
      }),
    };
    return create({ allocator: { ...tinyAllocator, rule } }).trainer.state;
  };

  test("a name of the trainer's own", () =>
    expect(withState("f64", "values")).toThrow(
      "the allocator's state \"values\" has the name of the trainer's own: values, firstMoments, secondMoments, report",
    ));
  test("integers", () =>
    expect(withState("i32", "order")).toThrow(
      "the allocator's state \"order\" must be f64, the backend's master dtype, got i32",
    ));
  test("not any other", () =>
    expect(Object.keys(withState("f64", "order")())).toEqual([
      "values",
      "firstMoments",
      "secondMoments",
      "report",
      "order",
    ]));
});
