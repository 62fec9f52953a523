import { expect, test } from "bun:test";
import { budgetChart } from "../../../cli/report-page/charts/budget.ts";
import { readLog } from "../../../cli/report-page/read-log.ts";

/** The budget's chart of a run whose budget falls from 90 to 30. */
function chartOf(config: { readonly budgetUnit?: string }) {
  const log = readLog("/nowhere/log.jsonl");
  const budget = { steps: [1, 2], values: [90, 30] };
  return budgetChart({
    name: "a",
    folder: "/nowhere",
    config,
    result: undefined,
    time: undefined,
    environment: {},
    log: { ...log, lastStep: 2, curves: { ...log.curves, budget } },
  });
}

test("a budget's chart says what the budget counts", () => {
  expect(chartOf({})?.title).toBe("Rank budget");
  expect(JSON.stringify(chartOf({})?.spec)).toContain('"title":"sum of ranks"');
  const chart = chartOf({ budgetUnit: "parameters" });
  expect(chart?.title).toBe("Parameter budget");
  expect(chart?.label).toBe("Parameter budget: 90 at step 1, 30 at step 2.");
  expect(JSON.stringify(chart?.spec)).toContain('"title":"sum of parameters"');
});
