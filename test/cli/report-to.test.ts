import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { writeMetricsCsv } from "../../cli/metrics-csv.ts";
import { readLine } from "../../cli/command.ts";
import { run } from "../../cli/commands/run.ts";
import { scriptValues } from "../../cli/reference-flags.ts";
import { mlflowImport } from "../../cli/report-to.ts";
import { csvRecords } from "../../core/data/csv.ts";
import { clearRun } from "../../core/run/run-folder.ts";
import { accuracyAt, lossAt, writeRun } from "./report-page/written-run.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-csv-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("metrics.csv has a row per logged step, with its values, masks and evaluations", () => {
  const out = join(scratch, "run");
  writeRun(out, { torn: '{"step":41,"ta' });
  writeMetricsCsv(out);
  const [head, ...rows] = csvRecords(readFileSync(join(out, "metrics.csv"), "utf8"), "metrics.csv");
  const columns = head!.fields;
  expect(columns.slice(0, 2)).toEqual(["step", "task_loss"]);
  expect(rows.map(({ fields }) => Number(fields[0]))).toEqual(
    Array.from({ length: 40 }, (_, i) => i + 1),
  );
  const cell = (step: number, name: string) => rows[step - 1]!.fields[columns.indexOf(name)];
  expect(cell(7, "task_loss")).toBe(String(lossAt(7)));
  expect(cell(40, "validation/accuracy")).toBe(String(accuracyAt(40, 40)));
  expect([cell(7, "validation/accuracy"), cell(7, "ranks_kept")]).toEqual(["", ""]);
  expect(cell(12, "ranks_kept")).toBe("10");
  clearRun(out);
  expect(() => readFileSync(join(out, "metrics.csv"))).toThrow("ENOENT");
});

describe("--report-to", () => {
  const line = (value: string) => readLine(run, ["rte", "--report_to", value]);

  test("accepts csv; only TensorBoard has a note that it is always written", () => {
    expect(scriptValues(line("csv").given).notes).toEqual([]);
    expect(line("tensorboard,csv").options.reportTo).toBe("tensorboard,csv");
    expect(scriptValues(line("tensorboard").given).notes).toEqual([
      "no effect here: --report_to (TensorBoard files are always written)",
    ]);
  });

  test.each([
    ["wandb", "wandb sync OUT/tensorboard"],
    ["trackio", "metrics.csv"],
    ["tensorboard,mlflow", "refuses to read runs from files"],
    ["comet_ml", "log.jsonl and tensorboard/"],
  ])("refuses %s, and names the file to import", (tool, hint) => {
    expect(() => scriptValues(line(tool).given)).toThrow(
      expect.objectContaining({ hint: expect.stringContaining(hint) }),
    );
  });

  test("shows the Python that logs metrics.csv to MLflow, as the documentation does", () => {
    const lines = expect.arrayContaining([...mlflowImport]);
    expect(() => scriptValues(line("mlflow").given)).toThrow(expect.objectContaining({ lines }));
    const docs = readFileSync(join(import.meta.dir, "../../docs/training.md"), "utf8");
    expect(docs).toContain(`\`\`\`python\n${mlflowImport.join("\n")}\n\`\`\``);
  });
});
