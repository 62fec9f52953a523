import { describe, expect, test } from "bun:test";
import { predict } from "../../cli/commands/predict.ts";
import { createReport } from "../../cli/report.ts";
import { commonOptions } from "../../cli/options.ts";
import { kebab } from "../../cli/names.ts";
import { readExamples } from "../../core/data/examples.ts";
import { glueTasks } from "../../core/data/glue-tasks.ts";
import { readSquad } from "../../core/data/squad.ts";
import { readSummaries } from "../../core/data/summaries.ts";
import type { TrainedModel } from "../../core/run/open-trained.ts";
import { AdaloraError, errors } from "../../core/errors.ts";
import { predictAll } from "../../cli/trained-predictions.ts";
import { fakeOutput } from "./fake-output.ts";

const flags = new Set(Object.keys({ ...predict.options, ...commonOptions }).map(kebab));

/** The flags that the hint of the error names and predict does not have. */
async function foreignFlags(failing: Promise<unknown>): Promise<readonly string[]> {
  const error: unknown = await failing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof AdaloraError)) throw new Error("no AdaloraError");
  expect(error.hint).toBeDefined();
  const named = [...(error.hint ?? "").matchAll(/--([a-z][a-z-]+)/g)].map(([, name = ""]) => name);
  return named.filter((name) => !flags.has(name));
}

/** A model without weights: all that a data set needs which fails before it computes. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what loadTrained reads
const trained = {
  declared: { model: {} },
  weights: { found: [], constants: [] },
} as unknown as TrainedModel;

const split = (name: string, text: string) => {
  const source = { name, bytes: new TextEncoder().encode(text) };
  return { name: "input", role: "test", files: [source] } as const;
};

describe("predict's hints name flags that it has:", () => {
  const own = { kind: "classification", labels: "ignored" } as const;
  test.each([
    ["a column of the text", "a,b\n1,2\n", own],
    ["a column of the task", "a,b\n1,2\n", { ...own, task: glueTasks.rte }],
    ["a column that is named", "a,b\n1,2\n", { ...own, textColumn: "c" }],
    ["a row of a task without header", "a\tb\nc\td\n", { ...own, task: glueTasks.cola }],
  ] as const)("%s", async (_, text, spec) => {
    expect(await foreignFlags(readExamples(split("x", text), spec))).toEqual([]);
  });

  test("questions and texts", async () => {
    const table = split("x", "a,b\n1,2\n");
    const squad = readSquad(table, { labels: "ignored", unanswerable: true });
    expect(await foreignFlags(squad)).toEqual([]);
    expect(await foreignFlags(readSummaries(table, { labels: "ignored" }))).toEqual([]);
  });

  test("memory", async () => {
    const output = fakeOutput();
    const report = createReport({ json: false, quiet: false, stdout: output, stderr: output });
    const dataset = {
      name: "input",
      rows: 1,
      lengths: Int32Array.of(3),
      isLabelled: false,
      majority: undefined,
      baseline: undefined,
      warnings: [],
      bytes: 0,
      overview: () => ({ classes: undefined, lengths: [], samples: [] }),
      forward: () => undefined,
      predict: () => Promise.reject(errors.memory(2 ** 30, 2 ** 30)),
    };
    const options = { device: "reference", dtype: "f32", threads: null, batchSize: 1 } as const;
    const failing = predictAll(trained, [{ dataset, kept: undefined }], options, report);
    expect(await foreignFlags(failing)).toEqual([]);
  });
});
