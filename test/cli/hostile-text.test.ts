import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { main } from "../../cli/main.ts";
import { createReport } from "../../cli/report.ts";
import { AdaloraError, errors } from "../../core/errors.ts";
import { fakeOutput } from "./fake-output.ts";
import { tinyTask, writeTinyModel } from "./tiny-task.ts";

const { folder, model, data } = tinyTask();
afterAll(() => rmSync(folder, { recursive: true }));

/** Ends the line, forges an error, clears the screen, returns, reorders and ends it otherwise. */
const HOSTILE = "x\nerror  forged\r\x1b[2J\x9b2J\x7f\u202ey\u2028error  forged";
const SHOWN = "x\\nerror  forged\\r\\x1b[2J\\u009b2J\\u007f\\u202ey\\u2028error  forged";

// oxlint-disable-next-line no-control-regex -- they are what is looked for
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;
/** What the report itself writes on a terminal. */
// oxlint-disable-next-line no-control-regex -- colours, and the erasing of a line
const own = (text: string) => text.replaceAll(/\r\x1b\[2K|\x1b\[(?:0|1|31|33)m/g, "");

async function run(args: readonly string[], terminal: boolean) {
  const stdout = fakeOutput({ isTerminal: terminal, colours: terminal });
  const stderr = fakeOutput({ isTerminal: terminal, colours: terminal });
  const code = await main(args, { open: (o) => createReport({ ...o, stdout, stderr }) });
  const [out, err] = [own(stdout.text), own(stderr.text)];
  expect(out).not.toMatch(CONTROL);
  expect(err).not.toMatch(CONTROL);
  expect(`${out}${err}`).not.toMatch(/^error {2}forged/m);
  return { code, out, err };
}

/** A model's folder whose config.json says so. */
function modelWith(name: string, overrides: Record<string, unknown>): string {
  const dir = join(folder, name);
  writeTinyModel(dir);
  const path = join(dir, "config.json");
  const config = JSON.parse(readFileSync(path, "utf8"));
  writeFileSync(path, JSON.stringify({ ...config, ...overrides }));
  return dir;
}

const named = join(folder, `${HOSTILE}.csv`);
writeFileSync(named, 'text,label\n"a cat",1\n"a moon",0\n');
const labelled = join(folder, "labels.csv");
writeFileSync(labelled, `text,label\n"a cat","${HOSTILE}"\n"a moon",b\n"the cat",c\n`);
const columns = join(folder, "columns.csv");
writeFileSync(columns, `text,"${HOSTILE}"\n"a cat",1\n`);
const folderOfOwn = join(folder, HOSTILE);
mkdirSync(folderOfOwn);

const phases = ["--init-warmup", "15%", "--final-warmup", "40%", "--device", "reference"];
const rte = (of: string) => ["plan", "rte", "--model", of, "--data", data, ...phases];
const ownData = ["--task", "classification", "--model", model, ...phases];

describe.each([false, true])("on a terminal: %p, text from outside is one line", (terminal) => {
  test.each<[string, readonly string[]]>([
    ["a command", [HOSTILE]],
    ["a flag", ["plan", `--${HOSTILE}`]],
    ["an argument", ["doctor", HOSTILE]],
    ["a recipe", ["run", HOSTILE]],
    ["a model_type", rte(modelWith(`type-${terminal}`, { model_type: HOSTILE }))],
    ["a config's value", rte(modelWith(`act-${terminal}`, { hidden_act: HOSTILE }))],
    ["a folder", rte(folderOfOwn)],
    ["a file of data", ["plan", ...ownData, "--data", named, "--text-column", "none"]],
    ["a label", ["plan", ...ownData, "--data", labelled, "--labels", "b,c"]],
    ["a column", ["plan", ...ownData, "--data", columns]],
    ["an adapter", ["eval", "--adapter", join(folder, HOSTILE)]],
    ["an adapter to predict with", ["predict", "--adapter", folderOfOwn, "text"]],
    ["a workload", ["bench", "--workload", HOSTILE]],
  ])("in the error about %s", async (_, args) => {
    const { code, err } = await run(args, terminal);
    expect(code).toBe(1);
    expect(err.match(/^error/gm)?.length).toBeGreaterThan(0);
    expect(err).toMatch(/\\n|\\u000a/);
    const json = await run([...args, "--json"], terminal);
    expect(JSON.parse(json.out).error.message).toBeString();
  });

  test("in a plan and its JSON", async () => {
    const dir = join(folder, `${HOSTILE}-${terminal}`);
    writeTinyModel(dir);
    const args = [...rte(dir), "--out", join(folder, "out")];
    const { code, out } = await run(args, terminal);
    expect({ code, out }).toEqual({ code: 0, out: expect.stringContaining(SHOWN) });
    const { config } = JSON.parse((await run([...args, "--json"], terminal)).out);
    expect(config.model).toBe(dir);
  });

  test("in every other thing that a report prints", async () => {
    const stdout = fakeOutput({ isTerminal: terminal });
    const stderr = fakeOutput({ isTerminal: terminal, columns: 500 });
    const report = createReport({ json: false, quiet: false, debug: true, stdout, stderr });
    report.info(HOSTILE);
    report.warn(HOSTILE, [HOSTILE]);
    report.live(HOSTILE);
    report.error(new AdaloraError("E", HOSTILE, { hint: HOSTILE, details: [HOSTILE] }));
    report.error(new Error("a library's\n    error, over lines"));
    report.errors([errors.hub(HOSTILE, HOSTILE)]);
    const text = own(stderr.text);
    expect(text).not.toMatch(CONTROL);
    expect(text).toContain(`${SHOWN}\nwarn  ${SHOWN}\n  ${SHOWN}\n`);
    expect(text).toContain(`error  ${SHOWN}\n  ${SHOWN}\n  hint: ${SHOWN}\n`);
    expect(text).toContain("error  internal: a library's error, over lines\n");
  });
});

test("a label of any characters is predicted as JSON that keeps it", () => {
  const stdout = fakeOutput();
  const report = createReport({ json: false, quiet: false, stdout, stderr: fakeOutput() });
  const record = { index: 0, prediction: HOSTILE };
  report.result({}, [record, record].map((one) => JSON.stringify(one)).join("\n"));
  expect(stdout.text).not.toMatch(CONTROL);
  expect(
    stdout.text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line)),
  ).toEqual([record, record]);
});
