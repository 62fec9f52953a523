import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cutRun, evaluationWords } from "../../../cli/compare/cut-run.ts";
import { resolveConfig, type RunConfig } from "../../../core/config/run-config.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-cut-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const base = { task: "classification", model: "m" } as const;
const configOf = (values: Partial<RunConfig>) =>
  resolveConfig([{ values: { ...base, ...values }, name: (one) => one }]);

/** The words that depend on the settings. */
function more(values: Partial<RunConfig>): readonly string[] {
  const fixed = ["eval", "--json", "--adapter", "cut", "--device", "auto", "--dtype", "f32"];
  const rest = ["--threads", "1", "--batch-size", "32"];
  const words = evaluationWords("cut", configOf(values), 1);
  return words.filter((word) => ![...fixed, ...rest].includes(word));
}

test.each<[Partial<RunConfig>, readonly string[]]>([
  [{}, []],
  [{ evalLimit: 31 }, ["--limit", "31"]],
  [{ limit: 20, evalLimit: 31 }, ["--limit", "20"]],
  [{ limit: 20 }, ["--limit", "20"]],
  // --limit is of the training rows, from which those of --eval-fraction are chosen.
  [{ limit: 20, evalFraction: 0.5 }, []],
  [{ limit: 20, evalFraction: 0.5, evalLimit: 3 }, ["--limit", "3"]],
  [{ tf32: true }, ["--tf32"]],
])("a cut adapter is evaluated on its run's rows, as its run was: %o", (values, words) => {
  expect(more(values)).toEqual(words);
});

test("a run is cut once for a budget, and anew for another one", async () => {
  writeFileSync(join(scratch, "metrics.json"), "{}");
  writeFileSync(join(scratch, "cut_metrics.json"), '{ "budget": 416, "metrics": {} }');
  const context = { stop: { isRequested: false }, threads: 1 };
  await cutRun(scratch, configOf({}), 416, context);
  await expect(cutRun(scratch, configOf({}), 832, context)).rejects.toThrow(
    "adapter: does not exist",
  );
});
