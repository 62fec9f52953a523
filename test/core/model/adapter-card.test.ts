import { expect, test } from "bun:test";
import type { PeftAdapter } from "../../../core/io/peft-adapter.ts";
import { cardText } from "../../../core/model/adapter-card.ts";
import type { TrainingFacts } from "../../../core/model/adapter-facts.ts";

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an adapter without layers
const adapter = {
  method: "adalora",
  baseModel: null,
  modules: [],
  saved: new Map(),
} as unknown as PeftAdapter;

const training: TrainingFacts = {
  method: "adalora",
  seed: 1,
  steps: 8,
  step: 8,
  learningRate: 1e-3,
  batchSize: 32,
  alpha: 32,
  initialRanks: 36,
  targetRanks: 12,
  dataset: undefined,
  mainMetric: "accuracy",
  metrics: {},
};

/** Lines of the card's list about training. */
function linesOf(more: Partial<TrainingFacts>): readonly string[] {
  const facts = { task: "rte", labels: undefined, settings: {}, plugin: undefined };
  const text = cardText({ adapter, facts: { ...facts, training: { ...training, ...more } } });
  return text.split("\n").filter((line) => line.startsWith("- "));
}

test("the card says how an adapter started, which rule pruned it and E's own rate", () => {
  const lines = linesOf({ start: "lora", allocator: "uniform", learningRateE: 0.02 });
  expect(lines).toContain("- Method: AdaLoRA, alpha 32, start lora");
  expect(lines).toContain("- Budget: 12 ranks in all, pruned from 36, allocator uniform");
  expect(lines).toContain("- Batch size 32, peak learning rate 0.001, that of E 0.02, seed 1");
});

test("AdaLoRA's own rule and an earlier version's facts need no words", () => {
  expect(linesOf({ allocator: "adalora" })).toContain("- Budget: 12 ranks in all, pruned from 36");
  expect(linesOf({ targetRanks: 1 })).toContain("- Budget: 1 rank in all, pruned from 36");
  expect(linesOf({})).toContain("- Method: AdaLoRA, alpha 32");
});
