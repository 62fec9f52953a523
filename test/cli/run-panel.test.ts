import { expect, test } from "bun:test";
import { panelLines, type RunPanel, spark } from "../../cli/run-panel.ts";
import { aligned } from "../../cli/aligned.ts";
import { fakeOutput } from "./fake-output.ts";

const progress = {
  step: 1240,
  steps: 3900,
  loss: 0.51234,
  budget: 282,
  tokensPerSecond: 1240,
  secondsLeft: 4320,
};
const panel: RunPanel = {
  evalSteps: 500,
  losses: Array.from({ length: 300 }, (_, i) => 0.5 + 0.3 * Math.exp(-i / 80)),
  metric: { name: "accuracy", values: [0.6, 0.73, 0.72], best: { value: 0.73, step: 750 } },
  budget: { initial: 576, target: 144 },
  ranks: [
    ["query", 3.1],
    ["key", 2.9],
    ["value", 4],
    ["attention.output", 3.5],
    ["intermediate", 4.25],
    ["layer.output", 5],
  ],
  memory: { now: 1.2 * 2 ** 30, peak: 1.3 * 2 ** 30 },
};

test("the panel of a run in 80 columns, and in 40", () => {
  const at = (columns: number) =>
    `\n${panelLines(progress, panel, fakeOutput({ columns }), "evaluating").join("\n")}\n`;
  expect(at(80)).toMatchInlineSnapshot(`
    "
    step 1240/3900   31%  loss 0.5123  budget 282  1,240 tokens/s  1 h 12 min left
    ━━━━━━━━━━┿━━━━━━━━━┿━━━━─────┼─────────┼─────────┼─────────┼─────────┼────────
    loss    ██▇▇▆▆▆▅▅▅▅▄▄▄▄▄▃▃▃▃▃▃▃▃▂▂▂▂▂▂▂▂▂▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  0.5123
    metric  ▁█▇  accuracy 0.7200, best 0.7300 at step 750
    budget  ██████████▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░░░░░░░░░░░  282 of 576, target 144
    ranks   query 3.1  key 2.9  value 4.0  attention.output 3.5  intermediate 4.3 …
    memory  1.2 GiB, peak 1.3 GiB
    evaluating
    "
  `);
  expect(at(40)).toMatchInlineSnapshot(`
    "
    step 1240/3900  1 h 12 min left
    ━━━━━┿━━━━┿━───┼────┼────┼────┼────┼───
    loss    █▇▆▅▅▄▄▃▃▂▂▂▂▂▂▁▁▁▁▁▁▁▁  0.5123
    metric  ▁█▇  accuracy 0.7200
    budget  ██▓░░░░  282 of 576, target 144
    ranks   query 3.1  key 2.9  value 4.0 …
    memory  1.2 GiB, peak 1.3 GiB
    evaluating
    "
  `);
});

test("every line fits a terminal of 1 to 200 columns, with colours and names of any length", () => {
  const ranks = [["a".repeat(90), 1] as const, ...panel.ranks];
  for (let columns = 1; columns <= 200; columns++) {
    const output = fakeOutput({ columns, colours: true });
    for (const one of [panel, { ...panel, ranks }]) {
      for (const line of panelLines(progress, one, output, "x".repeat(300)))
        expect(Bun.stringWidth(line)).toBeLessThan(columns);
    }
  }
});

test("wide characters take two columns", () => {
  const wide = {
    ...panel,
    metric: { name: "漢字漢字漢字漢字", values: [0.5], best: undefined },
    ranks: [["漢字漢字漢字", 3]] as const,
  };
  for (let columns = 20; columns < 60; columns++) {
    for (const line of panelLines(progress, wide, fakeOutput({ columns }), "漢字".repeat(20))) {
      expect(Bun.stringWidth(line), line).toBeLessThan(columns);
    }
  }
  const rows = aligned([
    ["漢字", "1"],
    ["a", "2"],
  ]);
  expect(rows).toEqual(["漢字  1", "a     2"]);
});

test("a method without ranks, before its first evaluation, has neither row; controls are text", () => {
  const bare = { ...panel, metric: undefined, budget: undefined, ranks: [] };
  const { length } = panelLines({ ...progress, budget: undefined }, bare, fakeOutput());
  expect(length).toBe(4);
  const hostile = { ...panel, ranks: [["\x1b[2J", 1] as const] };
  expect(panelLines(progress, hostile, fakeOutput()).join("")).not.toContain("\x1b");
});

test("an evaluation that is not the best shows no best; a budget beyond its ends fills the bar", () => {
  const resumed = { ...panel, metric: { ...panel.metric!, best: undefined } };
  const lines = panelLines({ ...progress, budget: 600 }, resumed, fakeOutput());
  expect(lines[3]).toBe("metric  ▁█▇  accuracy 0.7200");
  expect(lines[4]).toBe(`budget  ${"█".repeat(10)}${"▓".repeat(30)}  600 of 576, target 144`);
});

test("a sparkline has the lowest and the highest value at its ends, and skips what is no number", () => {
  expect(spark([1, 2, Number.NaN, 3, 8], 10)).toBe("▁▂▃█");
  expect(spark([5, 5], 10)).toBe("▁▁");
  expect(spark([0, 0, 7, 7], 2)).toBe("▁█");
  expect(spark([], 10)).toBe("");
});
