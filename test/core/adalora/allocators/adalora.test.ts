import { describe, expect, test } from "bun:test";
import type { AllocatorSettings } from "../../../../core/adalora/allocator.ts";
import { adaloraAllocator } from "../../../../core/adalora/allocators/adalora.ts";
import type { Buffer } from "../../../../core/backend.ts";
import { createReferenceBackend } from "../../../../core/backend/reference.ts";
import { type Adapter, adapterParameters, declareAdapter } from "../../../../core/nn/adapter.ts";
import { adamwStep } from "../../../../core/optim/adamw.ts";
import { ParameterArena } from "../../../../core/optim/parameter-arena.ts";
import { Parameter } from "../../../../core/tensor.ts";
import { masters } from "../../../helpers/upload.ts";
import { wave } from "../../../helpers/wave.ts";

const optimizer = {
  variant: "adamw",
  beta1: 0.9,
  beta2: 0.999,
  eps: 1e-8,
  weightDecay: 0,
} as const;

/** One module [in 2, out 1] of rank 3 by default; budgets 3, 1, 1, final tuning from step 3 on. */
function createSubject(
  options: Partial<AllocatorSettings> = {},
  { svd = true, modules = 1 }: { svd?: boolean; modules?: number } = {},
) {
  const backend = createReferenceBackend();
  const adapters: Adapter[] = Array.from({ length: modules }, (_, m) =>
    declareAdapter(`m.${m}`, { inFeatures: 2, outFeatures: 1 }, { rank: 3, scale: 1, svd }),
  );
  const head = new Parameter("classifier.weight", [1, 2]);
  for (const p of [...adapters.flatMap(adapterParameters), head])
    p.buffer = masters(backend, wave(p.length, 1));
  const diagonals = adapters.flatMap(({ e }) => e ?? []);
  const factors = adapters.flatMap(({ a, b }) => [a, b]);
  const arena = new ParameterArena(backend, diagonals, [...factors, head]);
  const kept = masters(backend, new Float64Array(3 * modules).fill(1));
  const threshold = masters(backend, [0]);
  const allocator = adaloraAllocator.create({
    backend,
    arena,
    adapters,
    report: { kept, threshold },
    settings: {
      schedule: {
        initial: 3 * modules,
        target: modules,
        warmup: 0,
        finalTuning: 2,
        interval: 1,
        steps: 4,
      },
      beta1: 0.5,
      beta2: 0.5,
      importance: "ipt",
      semantics: "reference",
      seed: 0,
      ...options,
    },
  });
  const valuesOf = (buffer: Buffer | undefined) =>
    buffer ? Array.from(backend.download(buffer)) : [];
  return {
    adapters,
    allocator,
    arena,
    valuesOf,
    /** A step at learning rate 0: the averages see exactly the values that were set. */
    afterStep(step: number) {
      const importance = allocator.importanceAt(step);
      adamwStep(backend, arena, optimizer, { lr: 0, t: step + 1 }, importance);
      return allocator.afterStep(step);
    },
    set: (
      parameter: Parameter | undefined,
      values: readonly number[],
      gradients: readonly number[],
    ) => {
      if (!parameter?.grad) throw new Error("not trained");
      backend.upload(parameter.buffer, values);
      backend.upload(parameter.grad, gradients);
    },
    kept: () => valuesOf(kept),
    threshold: () => valuesOf(threshold)[0],
  };
}

type Subject = ReturnType<typeof createSubject>;

/** E of the only module with these gradients; A and B have none. */
function gradientsOfE(
  { adapters: [m], set }: Subject,
  values: number[],
  gradients: number[],
): void {
  set(m?.a, [0, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]);
  set(m?.b, [0, 0, 0], [0, 0, 0]);
  set(m?.e, values, gradients);
}

describe("importance metrics", () => {
  /**
   * |E dE| is [2, 4, 0] at step 0 and [2, 0, 0] at step 1. With both betas 1/2:
   * sensitivity [1, 2, 0] then [1.5, 1, 0]; uncertainty [0.5, 1, 0] then [0.5, 1, 0].
   */
  const afterTwoSteps = (importance: AllocatorSettings["importance"]) => {
    const subject = createSubject({
      importance,
      schedule: { initial: 3, target: 1, warmup: 0, finalTuning: 2, interval: 1, steps: 4 },
    });
    gradientsOfE(subject, [0.5, 1, -9], [4, 4, 0]);
    expect(subject.afterStep(0)).toEqual({ budget: 3, masked: false });
    gradientsOfE(subject, [0.5, 1, -9], [4, 0, 0]);
    expect(subject.afterStep(1)).toEqual({ budget: 1, masked: true });
    return subject;
  };

  test("ipt multiplies by uncertainty: the triplet that fluctuates wins, 1 * 1 over 1.5 * 0.5", () => {
    const { kept, threshold, adapters, valuesOf } = afterTwoSteps("ipt");
    expect(kept()).toEqual([0, 1, 0]);
    expect(threshold()).toBe(0.75);
    expect(valuesOf(adapters[0]?.e?.buffer)).toEqual([0, 1, -0]);
  });

  test("sensitivity alone: the steady triplet wins, 1.5 over 1", () => {
    const { kept, threshold } = afterTwoSteps("sensitivity");
    expect(kept()).toEqual([1, 0, 0]);
    expect(threshold()).toBe(1);
  });

  test("magnitude: the largest |E| wins, whatever its gradient", () => {
    const { kept, threshold, allocator, valuesOf } = afterTwoSteps("magnitude");
    expect(kept()).toEqual([0, 0, 1]);
    expect(threshold()).toBe(1);
    expect(valuesOf(allocator.state["sensitivity"]).some((s) => s !== 0)).toBe(false);
  });
});

test("a triplet's score is s(E) + mean of s over its row of A + mean over its column of B", () => {
  const subject = createSubject({ importance: "sensitivity", beta1: 0 });
  const [m] = subject.adapters;
  const one = (n: number) => Array<number>(n).fill(1);
  // importances: E [1, 5, 3], rows of A [2, 4] [0, 0] [1, 1], B [1, 0, 0.5]
  subject.set(m?.e, [1, 5, 3], one(3));
  subject.set(m?.a, [2, 4, 0, 0, 1, 1], one(6));
  subject.set(m?.b, [1, 0, -0.5], one(3));
  subject.afterStep(1);
  // scores 1 + 3 + 1 = 5, 5 + 0 + 0 = 5, 3 + 1 + 0.5 = 4.5; two of three are pruned, and a tie is pruned with them
  expect(subject.threshold()).toBe(5);
  expect(subject.kept()).toEqual([0, 0, 0]);
});

test("beta1 and beta2 smooth the sensitivity and its uncertainty", () => {
  const subject = createSubject({ beta1: 0.75, beta2: 0.25 });
  const [m] = subject.adapters;
  gradientsOfE(subject, [1, -2, 0], [4, 4, 4]);
  subject.afterStep(0);
  const part = (name: string) =>
    subject.valuesOf(subject.arena.partOf(subject.allocator.state[name]!, m!.e!));
  // I = [4, 8, 0]
  expect(part("sensitivity")).toEqual([1, 2, 0]);
  expect(part("uncertainty")).toEqual([0.75 * 3, 0.75 * 6, 0]);
});

describe("the budget", () => {
  const isKept = (subject: Subject) => subject.kept();

  test("is shared by all modules: one may lose every triplet and end at rank 0", () => {
    const subject = createSubject({ importance: "magnitude" }, { modules: 2 });
    const [first, second] = subject.adapters;
    subject.set(first?.e, [0.1, 0.2, 0.3], [0, 0, 0]);
    subject.set(second?.e, [7, 8, 9], [0, 0, 0]);
    subject.afterStep(1); // budget 2 + trunc(4 / 8)
    expect(isKept(subject)).toEqual([0, 0, 0, 0, 1, 1]);
    expect(subject.valuesOf(first?.e?.buffer)).toEqual([0, 0, 0]);
    subject.afterStep(3);
    expect(isKept(subject)).toEqual([0, 0, 0, 0, 1, 1]);
  });

  test("a budget equal to the initial rank prunes nothing and has no threshold", () => {
    const schedule = { initial: 3, target: 3, warmup: 0, finalTuning: 1, interval: 1, steps: 4 };
    for (const semantics of ["reference", "peft"] as const) {
      const subject = createSubject({ semantics, schedule });
      const before = subject.valuesOf(subject.arena.values);
      for (const step of [0, 1, 2, 3]) subject.afterStep(step);
      expect(subject.valuesOf(subject.arena.values)).toEqual(before);
      expect(isKept(subject)).toEqual([1, 1, 1]);
      expect(subject.threshold()).toBeNaN();
    }
  });

  test("a budget of 0 prunes everything", () => {
    const schedule = { initial: 3, target: 0, warmup: 0, finalTuning: 2, interval: 1, steps: 4 };
    const subject = createSubject({ schedule });
    for (const step of [0, 1, 2, 3]) subject.afterStep(step);
    expect(isKept(subject)).toEqual([0, 0, 0]);
    expect(subject.valuesOf(subject.adapters[0]?.e?.buffer).every((e) => e === 0)).toBe(true);
  });

  test("no mask in warm-up, and none between intervals", () => {
    const schedule = { initial: 3, target: 1, warmup: 2, finalTuning: 2, interval: 4, steps: 10 };
    const subject = createSubject({ schedule });
    const masked = Array.from({ length: 10 }, (_, step) => subject.afterStep(step).masked);
    //                      warm-up              4: multiple           8: multiple, 9: final
    expect(masked).toEqual([false, false, false, false, true, false, false, false, true, true]);
  });
});

describe("masks", () => {
  test("only zero E: no other value in the arena changes", () => {
    const subject = createSubject({}, { modules: 2 });
    const { arena, valuesOf, adapters } = subject;
    for (const step of [0, 1, 2, 3]) {
      for (const [i, p] of arena.parameters.entries())
        subject.set(p, Array.from(wave(p.length, i)), Array.from(wave(p.length, i + step)));
      const before = arena.parameters.map((p) => valuesOf(p.buffer));
      const gradients = valuesOf(arena.gradients);
      subject.afterStep(step);
      const kept = subject.kept();
      expect(valuesOf(arena.gradients)).toEqual(gradients);
      arena.parameters.forEach((p, i) => {
        const m = adapters.findIndex(({ e }) => e === p);
        const expected = m < 0 ? before[i]! : before[i]!.map((x, r) => x * kept[3 * m + r]!);
        expect(valuesOf(p.buffer)).toEqual(expected);
      });
    }
    expect(subject.kept().filter((k) => k === 1)).toHaveLength(2); // some were pruned
  });

  test("doublets (prune-lora): a row of A and a column of B are zeroed, scored without E", () => {
    const subject = createSubject({ importance: "sensitivity", beta1: 0 }, { svd: false });
    const [m] = subject.adapters;
    subject.set(m?.a, [1, 1, 3, 5, 2, 2], [1, 1, 1, 1, 1, 1]); // means 1, 4, 2
    subject.set(m?.b, [5, 0.5, 1], [1, 1, 1]); // 5, 0.5, 1 -> scores 6, 4.5, 3
    subject.afterStep(1);
    expect(subject.kept()).toEqual([1, 0, 0]);
    expect(subject.threshold()).toBe(4.5);
    expect(subject.valuesOf(m?.a.buffer)).toEqual([1, 1, 0, 0, 0, 0]);
    expect(subject.valuesOf(m?.b.buffer)).toEqual([5, 0, 0]);
    expect(m?.e).toBeUndefined();
  });

  test("doublets cannot be scored by magnitude", () => {
    expect(() => createSubject({ importance: "magnitude" }, { svd: false })).toThrow(
      "internal: magnitude scores need E",
    );
  });

  test("applyMask zeroes triplets that Adam has revived", () => {
    const subject = createSubject({ importance: "magnitude" });
    const [m] = subject.adapters;
    subject.set(m?.e, [1, 5, 2], [0, 0, 0]);
    subject.afterStep(1);
    subject.set(m?.e, [8, 9, 10], [0, 0, 0]);
    subject.allocator.applyMask();
    expect(subject.valuesOf(m?.e?.buffer)).toEqual([0, 9, 0]);
  });
});

describe("the final phase", () => {
  const schedule = { initial: 3, target: 1, warmup: 0, finalTuning: 3, interval: 10, steps: 6 };

  test("reference: importances freeze at its first step, steps - finalTuning", () => {
    const subject = createSubject({ schedule });
    const state = () => subject.valuesOf(subject.allocator.state["sensitivity"]);
    gradientsOfE(subject, [1, 2, 3], [1, 1, 1]);
    subject.afterStep(2); // the last that is observed
    const before = state();
    expect(before.some((s) => s > 0)).toBe(true);
    for (const step of [3, 4, 5]) subject.afterStep(step);
    expect(state()).toEqual(before);
  });

  test("reference: no mask at its first step, then a rescored mask at every step", () => {
    const subject = createSubject({ schedule, importance: "magnitude" });
    const [m] = subject.adapters;
    subject.set(m?.e, [1, 5, 2], [0, 0, 0]);
    expect(subject.afterStep(3).masked).toBe(false);
    expect(subject.afterStep(4)).toEqual({ budget: 1, masked: true });
    expect(subject.kept()).toEqual([0, 1, 0]);
    subject.set(m?.e, [6, 5, 2], [0, 0, 0]); // revived and grown
    subject.afterStep(5);
    expect(subject.kept()).toEqual([1, 0, 0]);
  });

  test("peft: masks at its first step whatever the interval, and keeps that mask", () => {
    const subject = createSubject({ schedule, importance: "magnitude", semantics: "peft" });
    const [m] = subject.adapters;
    subject.set(m?.e, [1, 5, 2], [0, 0, 0]);
    expect(subject.afterStep(3)).toEqual({ budget: 1, masked: true });
    expect(subject.kept()).toEqual([0, 1, 0]);
    subject.set(m?.e, [6, 5, 2], [0, 0, 0]);
    expect(subject.afterStep(4)).toEqual({ budget: 1, masked: true });
    expect(subject.kept()).toEqual([0, 1, 0]);
    expect(subject.valuesOf(m?.e?.buffer)).toEqual([0, 5, 0]);
  });

  test("both agree before it", () => {
    const long = { ...schedule, interval: 1, steps: 9 };
    const run = (semantics: AllocatorSettings["semantics"]) => {
      const subject = createSubject({ schedule: long, semantics });
      return [0, 1, 2, 3, 4, 5, 6].map((step) => {
        gradientsOfE(subject, [1, -2, 3], [Math.sin(step), Math.cos(step), 0.3]);
        return [subject.afterStep(step), subject.kept(), subject.threshold()];
      });
    };
    expect(run("peft")).toEqual(run("reference"));
  });
});
