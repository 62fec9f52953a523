import { describe, expect, test } from "bun:test";
import { classesText } from "../../cli/data-text.ts";
import { budgetCurve, headText, type Plan, planText } from "../../cli/plan-text.ts";
import { type Layer, resolveConfig } from "../../core/config/run-config.ts";
import { resolveSchedule } from "../../core/run/phases.ts";
import { resolveTarget } from "../../core/run/target.ts";
import { fakeOutput } from "./fake-output.ts";

const matrices = Array.from({ length: 12 }, (_, i) => ({
  path: `layer.${i}.query`,
  inFeatures: 768,
  outFeatures: 768,
}));

const samples = [
  { text: "[CLS] the cat sat[SEP] a cat sat[SEP]", label: "entailment" },
  { text: `[CLS] ${"the moon ".repeat(60)}[SEP]`, label: undefined },
];

const splitsOf = (rows: number): Plan["data"]["splits"] => {
  const length = { of: "text", flag: "max-length", limit: 320, median: 64, p95: 186 } as const;
  const classes = (first: number, second: number) => [
    { name: "entailment", rows: first },
    { name: "not_entailment", rows: second },
  ];
  const train = { name: "train", rows, features: rows, classes: classes(1249, rows - 1249) };
  const validation = { name: "validation", rows: 277, features: 277, classes: classes(146, 131) };
  return [
    { ...train, lengths: [{ ...length, max: 411, tooLong: 12 }] },
    { ...validation, lengths: [{ ...length, max: 321, tooLong: 1 }] },
  ];
};

function planOf(values: Layer["values"], rows = 2490): Plan {
  const recipe = {
    task: "rte",
    model: "microsoft/deberta-v3-base",
    targetRank: 2,
    epochs: 50,
    initWarmup: 600,
    finalWarmup: 1800,
    maskInterval: 1,
    lr: 1.2e-3,
    warmupSteps: 200,
  };
  const config = resolveConfig([
    { values: recipe, name: String },
    { values, name: String },
  ]);
  const schedule = resolveSchedule(config, rows);
  const target = resolveTarget(config, { parameters: 184_422_912, matrices });
  return {
    config,
    schedule,
    rows,
    target: config.method === "bitfit" ? undefined : target,
    matrices: matrices.length,
    modelParameters: 184_422_912,
    trainedParameters: 592_130,
    data: { splits: splitsOf(rows), samples },
    machine: { device: "cpu", dtype: "bf16", threads: 4 },
    seeds: undefined,
    needs: { weights: 735e6, training: 1.4e9, memory: 2.45e9, checkpoint: 12e6, disk: 40e6 },
    warnings: [...schedule.diagnostics.warnings, ...target.diagnostics.warnings],
  };
}

const text = (values: Layer["values"]) => planText(planOf(values), fakeOutput());

describe("a plan", () => {
  test("of AdaLoRA has its phases and its budget", () => {
    expect(text({})).toMatchInlineSnapshot(`
      "rte: adalora on microsoft/deberta-v3-base

      data        2,490 training rows, 78 steps per epoch
      classes     entailment 1,249, not_entailment 1,241
      validation  277 rows: entailment 146, not_entailment 131
      tokens      median 64, 95% up to 186, longest 411; --max-length 320 cuts 12 of 2,490 in train (0.5%), 1 of 277 in validation (0.4%)
      length      3,900 steps in 50 epochs, batches of 32
      rate        0.0012, linear, after 200 steps of warm-up; adamw
      warm-up     1–601             rank 48
      budgeting   602–2,101         rank 48 to 24 in 1,500 prunings
      final       2,102–3,900       rank 24
      budget      ████████████▇▇▇▆▆▆▅▅▅▅▅▅▅▅▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄
      ranks       4 to an average of 2 in 12 matrices (target rank 2)
      adapter     73,776 to 36,888 parameters, 0.02% of the model's
      model       184,422,912 parameters, 592,130 of them trained
      device      cpu, bf16, 4 threads
      memory      about 2.3 GiB: 701 MiB of weights, 1.3 GiB to train
      disk        up to 38.1 MiB, 11.4 MiB per checkpoint
      time        not measured: --time takes a few steps to estimate it

      as the model reads them
        [CLS] the cat sat[SEP] a cat sat[SEP] → entailment
        [CLS] the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon … the moon the moon the moon the moon the moon the moon [SEP]"
    `);
  });

  test("of LoRA is one phase at one rank", () => {
    expect(text({ method: "lora" })).toMatchInlineSnapshot(`
      "rte: lora on microsoft/deberta-v3-base

      data        2,490 training rows, 78 steps per epoch
      classes     entailment 1,249, not_entailment 1,241
      validation  277 rows: entailment 146, not_entailment 131
      tokens      median 64, 95% up to 186, longest 411; --max-length 320 cuts 12 of 2,490 in train (0.5%), 1 of 277 in validation (0.4%)
      length      3,900 steps in 50 epochs, batches of 32
      rate        0.0012, linear, after 200 steps of warm-up; adamw
      training    1–3,900           rank 24
      ranks       2 in 12 matrices (target rank 2)
      adapter     36,864 parameters, 0.02% of the model's
      model       184,422,912 parameters, 592,130 of them trained
      device      cpu, bf16, 4 threads
      memory      about 2.3 GiB: 701 MiB of weights, 1.3 GiB to train
      disk        up to 38.1 MiB, 11.4 MiB per checkpoint
      time        not measured: --time takes a few steps to estimate it

      as the model reads them
        [CLS] the cat sat[SEP] a cat sat[SEP] → entailment
        [CLS] the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon … the moon the moon the moon the moon the moon the moon [SEP]"
    `);
  });

  test("without adapters says what is trained", () => {
    expect(text({ method: "bitfit" })).toMatchInlineSnapshot(`
      "rte: bitfit on microsoft/deberta-v3-base

      data        2,490 training rows, 78 steps per epoch
      classes     entailment 1,249, not_entailment 1,241
      validation  277 rows: entailment 146, not_entailment 131
      tokens      median 64, 95% up to 186, longest 411; --max-length 320 cuts 12 of 2,490 in train (0.5%), 1 of 277 in validation (0.4%)
      length      3,900 steps in 50 epochs, batches of 32
      rate        0.0012, linear, after 200 steps of warm-up; adamw
      model       184,422,912 parameters, 592,130 of them trained
      device      cpu, bf16, 4 threads
      memory      about 2.3 GiB: 701 MiB of weights, 1.3 GiB to train
      disk        up to 38.1 MiB, 11.4 MiB per checkpoint
      time        not measured: --time takes a few steps to estimate it

      as the model reads them
        [CLS] the cat sat[SEP] a cat sat[SEP] → entailment
        [CLS] the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon … the moon the moon the moon the moon the moon the moon [SEP]"
    `);
  });

  test("names an allocator and a start that are not the defaults", () => {
    const rows = (values: Layer["values"]) =>
      text(values)
        .split("\n")
        .filter((line) => /^(allocator|start)/.test(line));
    expect(rows({ allocator: "uniform", start: "eva" })).toEqual([
      "allocator   uniform",
      "start       eva",
    ]);
    expect(rows({ allocator: "adalora", start: "paper" })).toEqual([]);
    expect(rows({ method: "lora", start: "lora" })).toEqual([]);
    expect(rows({})).toEqual([]);
  });

  test("ends with what is suspicious", () => {
    expect(text({ maxSteps: 150, initWarmup: 10, finalWarmup: 20, gradAccum: 2 }))
      .toMatchInlineSnapshot(`
      "rte: adalora on microsoft/deberta-v3-base

      data        2,490 training rows, 39 steps per epoch
      classes     entailment 1,249, not_entailment 1,241
      validation  277 rows: entailment 146, not_entailment 131
      tokens      median 64, 95% up to 186, longest 411; --max-length 320 cuts 12 of 2,490 in train (0.5%), 1 of 277 in validation (0.4%)
      length      150 steps in 3.85 epochs, 2 batches of 32 per step
      rate        0.0012, linear, after 200 steps of warm-up; adamw
      warm-up     1–11              rank 48
      budgeting   12–131            rank 48 to 24 in 120 prunings
      final       132–150           rank 24
      budget      ████████▇▇▇▇▇▇▆▆▆▆▆▆▆▆▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▅▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄
      ranks       4 to an average of 2 in 12 matrices (target rank 2)
      adapter     73,776 to 36,888 parameters, 0.02% of the model's
      model       184,422,912 parameters, 592,130 of them trained
      device      cpu, bf16, 4 threads
      memory      about 2.3 GiB: 701 MiB of weights, 1.3 GiB to train
      disk        up to 38.1 MiB, 11.4 MiB per checkpoint
      time        not measured: --time takes a few steps to estimate it

      as the model reads them
        [CLS] the cat sat[SEP] a cat sat[SEP] → entailment
        [CLS] the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon the moon … the moon the moon the moon the moon the moon the moon [SEP]

      warn  the learning rate reaches 75% of its peak: 200 warm-up steps in a run of 150"
    `);
  });
});

test("the curve falls from full bars to the target's share", () => {
  const schedule = {
    initial: 40,
    target: 10,
    warmup: 25,
    finalTuning: 25,
    interval: 1,
    steps: 100,
  };
  expect(budgetCurve(schedule, 20)).toBe("██████▆▅▄▃▃▃▂▂▂▂▂▂▂▂");
  expect(budgetCurve({ ...schedule, target: 40 }, 4)).toBe("████");
});

test("windows on long contexts are shown beside the rows", () => {
  const plan = { ...planOf({}), rows: 2100 };
  expect(planText(plan, fakeOutput())).toContain(
    "data        2,100 training rows in 2,490 windows, 78 steps per epoch\n",
  );
});

test("in a terminal every line fits", () => {
  const warning = "the learning rate reaches 75% of its peak: 200 warm-up steps in a run of 150";
  for (const columns of [60, 80]) {
    const plan = { ...planOf({}), warnings: [warning] };
    const lines = planText(plan, fakeOutput({ isTerminal: true, columns })).split("\n");
    expect(lines.filter((line) => line.length > columns)).toEqual([]);
    expect(lines.find((line) => line.startsWith("budget "))).toHaveLength(Math.min(76, columns));
  }
});

test("measured times: a step, an evaluation, all of it", () => {
  const time = {
    seconds: 705,
    loadSeconds: 3,
    stepSeconds: 0.1778,
    steps: 3900,
    evaluationSeconds: 12.4,
    evaluations: 1,
    measuredSteps: 4,
  };
  const row = (plan: Plan) => /^time .*$/m.exec(planText(plan, fakeOutput()))?.[0];
  expect(row({ ...planOf({}), time })).toBe(
    "time        about 11 min 45 s: 3,900 steps of 0.18 s, 1 evaluation of 12 s (from 4 steps)",
  );
  expect(row({ ...planOf({ earlyStopping: 3 }), time: { ...time, evaluations: 0 } })).toBe(
    "time        at most about 11 min 45 s: 3,900 steps of 0.18 s, no evaluation (from 4 steps)",
  );
});

test("many classes are shown by size, with the smallest of the rest", () => {
  const classes = Array.from({ length: 14 }, (_, i) => ({ name: `intent ${i}`, rows: 14 - i }));
  expect(classesText(classes.toReversed())).toBe(
    "intent 0 14, intent 1 13, intent 2 12, intent 3 11, intent 4 10, intent 5 9, intent 6 8, intent 7 7, intent 8 6, intent 9 5, 4 more classes down to 1",
  );
});

test("the head of a run is what it trains on, for how long and where", () => {
  expect(headText({ ...planOf({ microBatch: 8 }), heldOutRows: 277 }, fakeOutput()))
    .toMatchInlineSnapshot(`
    "rte: adalora on microsoft/deberta-v3-base
    data        2,490 training rows, 78 steps per epoch
    classes     entailment 1,249, not_entailment 1,241
    validation  277 rows, held out of the training data: entailment 146, not_entailment 131
    tokens      median 64, 95% up to 186, longest 411; --max-length 320 cuts 12 of 2,490 in train (0.5%), 1 of 277 in validation (0.4%)
    length      3,900 steps in 50 epochs, batches of 32, 8 examples at a time
    device      cpu, bf16, 4 threads
    memory      about 2.3 GiB: 701 MiB of weights, 1.3 GiB to train"
  `);
});

test("a plan has E's own rate, and the start that suits the run better", () => {
  const plan = { ...planOf({ lrE: 0.012 }), startAdvice: "E starts at 0: --start lora" };
  const shown = planText(plan, fakeOutput());
  expect(shown).toContain("rate        0.0012 (0.012 for E), linear, after 200 steps");
  expect(shown).toContain("start       E starts at 0: --start lora\n");
});
