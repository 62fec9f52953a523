import { expect, test } from "bun:test";
import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openJsonLog } from "../../../core/io/jsonl.ts";
import { readJsonLog } from "../../helpers/json-log.ts";
import { failure, scratchFolder } from "./scratch.ts";

const dir = scratchFolder();
let folderCount = 0;
const fresh = () => join(dir, `${++folderCount}`, "log.jsonl");
const steps = (path: string) => readJsonLog(path).map(({ step, eval: score }) => step ?? score);

function written(path: string, options = {}): string {
  const log = openJsonLog(path, options);
  for (const step of [10, 20, 30]) log.append({ step, loss: 1 / step });
  log.append({ eval: "after 30" });
  log.append({ step: 40, loss: NaN });
  log.close();
  return path;
}

test("each record is one line, in the file when append returns", () => {
  const path = fresh();
  const log = openJsonLog(path);
  log.append({ step: 1, text: "a\nb" });
  expect(readFileSync(path, "utf8")).toBe('{"step":1,"text":"a\\nb"}\n');
  log.append({ step: 2, loss: Infinity });
  expect(readJsonLog(path)).toEqual([
    { step: 1, text: "a\nb" },
    { step: 2, loss: null },
  ]);
  log.close();
});

test("resuming keeps the records up to the step, and those without one that precede the cut", () => {
  for (const [resumeAfter, kept] of [
    [40, [10, 20, 30, "after 30", 40]],
    [39, [10, 20, 30, "after 30"]],
    [29, [10, 20]],
    [0, []],
  ] as const) {
    const path = written(fresh());
    const log = openJsonLog(path, { resumeAfter });
    expect(steps(path)).toEqual([...kept]);
    log.append({ step: 99 });
    log.close();
    expect(steps(path)).toEqual([...kept, 99]);
  }
});

test("resuming also drops a refused record and everything after it", () => {
  const path = written(fresh());
  const seen: unknown[] = [];
  const keeps = ({ step, eval: score }: { step?: unknown; eval?: unknown }) => {
    seen.push(step ?? score);
    return score === undefined;
  };
  openJsonLog(path, { resumeAfter: 40, keeps }).close();
  expect(seen).toEqual([10, 20, 30, "after 30"]);
  expect(steps(path)).toEqual([10, 20, 30]);
});

test("without a step to resume after, the log starts empty", () => {
  const path = written(fresh());
  openJsonLog(path).close();
  expect(steps(path)).toEqual([]);
});

test("a log that does not exist yet can be resumed", () => {
  expect(steps(written(fresh(), { resumeAfter: 5 }))).toEqual([10, 20, 30, "after 30", 40]);
});

test("the torn last line of a killed process is dropped, wherever it is torn", () => {
  const line = '{"step":50,"text":"é"}\n';
  const bytes = Buffer.from(line);
  for (let cut = 1; cut < bytes.length; cut++) {
    const path = written(fresh());
    appendFileSync(path, bytes.subarray(0, cut));
    expect(steps(path)).toEqual([10, 20, 30, "after 30", 40]);
    const log = openJsonLog(path, { resumeAfter: 100 });
    log.append({ step: 60 });
    log.close();
    expect(steps(path)).toEqual([10, 20, 30, "after 30", 40, 60]);
  }
});

test("a damaged line in the middle is reported", () => {
  const path = written(fresh());
  writeFileSync(path, readFileSync(path, "utf8").replace('"step":20', '"step":2 0'));
  const resume = () => failure(() => openJsonLog(path, { resumeAfter: 30 })).message;
  expect(resume()).toStartWith(`${path}:2: is not JSON`);
  writeFileSync(path, "[1]\n");
  expect(resume()).toBe(`${path}:1: must be a JSON object, got [1]`);
  writeFileSync(path, Buffer.from([0xff, 0x0a]));
  expect(resume()).toBe(`${path}:1: is not UTF-8 text`);
});

test("a folder in the log's place is reported", () => {
  expect(failure(() => openJsonLog(dir)).message).toBe(`${dir}: is a folder, not a file`);
});
