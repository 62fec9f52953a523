import { describe, expect, test } from "bun:test";
import type { AllocatorContext } from "../../../core/adalora/allocator.ts";
import { allocators } from "../../../core/adalora/allocators/index.ts";
import { loraValues } from "../../../core/adalora/starts/lora.ts";
import { paperValues } from "../../../core/adalora/starts/paper.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { adapterParameters, declareAdapter } from "../../../core/nn/adapter.ts";
import { ParameterArena } from "../../../core/optim/parameter-arena.ts";
import golden from "./starts-and-rules.golden.json" with { type: "json" };

describe("numpy's first values (test/oracle/starts_and_rules.py)", () => {
  const starts = { paper: paperValues, lora: loraValues } as const;
  for (const { start, seed, hasE, path, rank, values, ...layer } of golden.starts) {
    const name = start === "paper" ? "paper" : "lora";
    test(`--start ${name}, seed ${seed}, ${hasE ? "with" : "without"} E`, () => {
      const adapter = declareAdapter(path, layer, { rank, scale: 1, svd: hasE });
      const found = starts[name](adapter, seed);
      expect(found.size).toBe(adapterParameters(adapter).length);
      for (const [parameter, expected] of [
        [adapter.a, values.a],
        [adapter.b, values.b],
        [adapter.e, values.e],
      ] as const) {
        if (!parameter) continue;
        const got = Array.from(found.get(parameter) ?? []);
        expect(got, parameter.name).toHaveLength(expected!.length);
        for (const [i, value] of got.entries()) {
          expect(value, parameter.name).toBeCloseTo(expected![i]!, 8);
        }
      }
    });
  }
});

type RuleCase = (typeof golden.rules)[number];

/** The kept triplets after each step of a rule that finds numpy's averages. */
function keptBy({ rule, unit, semantics, seed, initial, target }: RuleCase) {
  const backend = createReferenceBackend();
  const { rank, shapes, schedule } = golden;
  const adapters = shapes.map(([inFeatures, outFeatures], i) =>
    declareAdapter(`layer.${i}`, shapeOf(inFeatures, outFeatures), { rank, scale: 1, svd: true }),
  );
  for (const parameter of adapters.flatMap(adapterParameters)) {
    parameter.buffer = backend.alloc(backend.master, parameter.length);
    backend.upload(parameter.buffer, Array<number>(parameter.length).fill(1));
  }
  const arena = new ParameterArena(
    backend,
    adapters.flatMap(({ e }) => e ?? []),
    adapters.flatMap(({ a, b }) => [a, b]),
  );
  const count = shapes.length * rank;
  const report = {
    kept: backend.alloc(backend.master, count),
    threshold: backend.alloc(backend.master, 1),
  };
  backend.upload(report.kept, Array<number>(count).fill(1));
  const settings = {
    schedule: { ...schedule, initial, target, unit: oneOf(["ranks", "parameters"], unit) },
    beta1: 0.85,
    beta2: 0.85,
    importance: "ipt",
    semantics: oneOf(["reference", "peft"], semantics),
    seed,
  } as const satisfies AllocatorContext["settings"];
  const context = { backend, arena, adapters, report, settings };
  const allocator = allocators[oneOf(["adalora", "uniform", "random"], rule)].create(context);
  return Array.from({ length: schedule.steps }, (_, step) => {
    const found = golden.averages.find((one) => one.step === step);
    for (const name of ["sensitivity", "uncertainty"] as const) {
      const buffer = allocator.state[name];
      if (found && buffer) backend.upload(buffer, found[name]);
    }
    backend.upload(arena.values, Array<number>(arena.length).fill(1)); // Adam revives pruned E's
    const { budget, masked } = allocator.afterStep(step);
    const e = Array.from(backend.download(arena.values)).slice(0, count);
    const kept = backend.download(report.kept).join("");
    return { budget, masked, kept, e: e.join("") };
  });
}

/** The known name that a golden file spells. */
function oneOf<const T extends string>(known: readonly T[], name: string): T {
  const found = known.find((one) => one === name);
  if (found === undefined) throw new Error(`unknown: ${name}`);
  return found;
}

const shapeOf = (inFeatures = 0, outFeatures = 0) => ({ inFeatures, outFeatures });

describe("numpy's masks (test/oracle/starts_and_rules.py)", () => {
  for (const one of golden.rules) {
    test(`--allocator ${one.rule}, a budget of ${one.unit}, semantics ${one.semantics}`, () => {
      const steps = keptBy(one);
      expect(steps.map(({ budget, masked, kept }) => ({ budget, masked, kept }))).toEqual(
        one.steps,
      );
      for (const { masked, kept, e } of steps) {
        expect(e).toBe(masked ? kept : "1".repeat(kept.length));
      }
    });
  }
});
