import { describe, expect, test } from "bun:test";
import { createReport } from "../../cli/report.ts";
import { errors, invariant } from "../../core/errors.ts";
import { fakeOutput } from "./fake-output.ts";

function setUp(
  options: { json?: boolean; quiet?: boolean; debug?: boolean; terminal?: boolean } = {},
) {
  const { json = false, quiet = false, debug = false, terminal = false } = options;
  const stdout = fakeOutput();
  const stderr = fakeOutput({ isTerminal: terminal, columns: 40 });
  return { report: createReport({ json, quiet, debug, stdout, stderr }), stdout, stderr };
}

const state = { step: 1, steps: 9, loss: 0.5, tokensPerSecond: 100, secondsLeft: 10 };
const line = "step 1/9   11%  loss 0.5000  100 tokens/s  10 s left";

test("what an evaluation found fits the terminal, and elsewhere a page", () => {
  const metrics = ["pearson", "spearmanr", "combined_score"].map((name) => [name, 0.5] as const);
  const found = { step: 9, split: "validation", metrics, isBest: false };
  const [narrow, page] = [setUp({ terminal: true }), setUp()];
  narrow.report.scores(found);
  page.report.scores(found);
  expect(narrow.stderr.text).toBe(
    "step 9  validation  pearson 0.5000\n        spearmanr 0.5000\n        combined_score 0.5000\n",
  );
  expect(page.stderr.text).toBe(
    "step 9  validation  pearson 0.5000  spearmanr 0.5000  combined_score 0.5000\n",
  );
  const { report, stderr } = setUp({ quiet: true });
  report.scores(found);
  expect(stderr.text).toBe("");
});

describe("results", () => {
  test("are text on stdout, notes are on stderr", () => {
    const { report, stdout, stderr } = setUp();
    report.info("reading");
    report.warn("odd");
    report.result({ a: 1 }, "a is 1");
    expect(stdout.text).toBe("a is 1\n");
    expect(stderr.text).toBe("reading\nwarn  odd\n");
  });

  test("are one JSON object with --json", () => {
    const { report, stdout } = setUp({ json: true });
    report.info("reading");
    report.result({ a: 1 }, "a is 1");
    expect(stdout.text).toBe('{"a":1}\n');
  });

  test("and warnings are all that --quiet prints", () => {
    const { report, stdout, stderr } = setUp({ quiet: true });
    report.info("reading");
    report.progress(state, true);
    report.warn("odd");
    report.result({ a: 1 }, "a is 1");
    expect(stdout.text).toBe("a is 1\n");
    expect(stderr.text).toBe("warn  odd\n");
  });
});

test("a line that repeats is printed each time", () => {
  const { report, stderr } = setUp();
  for (let i = 0; i < 20; i++) report.info("again");
  expect(stderr.text).toBe("again\n".repeat(20));
});

describe("errors", () => {
  test("of the user are a message and a hint, exit 1", () => {
    const { report, stdout, stderr } = setUp();
    expect(report.error(errors.unknownFlag("lrr", "lr"))).toBe(1);
    expect(stderr.text).toBe("error  unknown flag --lrr\n  hint: did you mean --lr?\n");
    expect(stdout.text).toBe("");
  });

  test("of ours are named so, exit 70, and have no stack", () => {
    const { report, stderr } = setUp();
    expect(report.error(caught(() => invariant(false, "two plus two")))).toBe(70);
    expect(report.error(new TypeError("x is undefined"))).toBe(70);
    expect(report.error("thrown text")).toBe(70);
    const hint = "  hint: this is a bug in adalora: ADALORA_DEBUG=1 prints where it happened\n";
    expect(stderr.text).toBe(
      ["two plus two", "x is undefined", "thrown text"]
        .map((text) => `error  internal: ${text}\n${hint}`)
        .join(""),
    );
  });

  test("of the machine that no reader or writer converts are no bugs", () => {
    const { report, stderr } = setUp();
    for (const code of ["EIO", "EACCES", "ENOSPC"]) {
      const error = Object.assign(new Error(`${code}: text, open '/a/b'`), { code, path: "/a/b" });
      expect(report.error(error)).toBe(1);
    }
    expect(stderr.text).toBe(
      "error  /a/b: the device reports an input or output error\n" +
        "error  /a/b: permission denied\n  hint: check who owns the file and its mode\n" +
        "error  /a/b: no space is left on the device\n  hint: free some space and run again\n",
    );
    expect(report.error(Object.assign(new Error("EBADF"), { code: "EBADF" }))).toBe(70);
  });

  test("have their stack with ADALORA_DEBUG", () => {
    const { report, stderr } = setUp({ debug: true });
    report.error(errors.unknownFlag("lrr", undefined));
    expect(stderr.text).toStartWith("error  unknown flag --lrr\n");
    expect(stderr.text).toMatch(/at unknownFlag \(.*errors\.ts:\d+/);
  });

  test("are the one JSON object with --json", () => {
    const { report, stdout } = setUp({ json: true });
    report.error(errors.unknownFlag("lrr", "lr"));
    expect(JSON.parse(stdout.text)).toEqual({
      error: { code: "E_FLAG", message: "unknown flag --lrr", hint: "did you mean --lr?" },
    });
  });
});

describe("progress", () => {
  test("is a line for what is to be kept, where there is no terminal", () => {
    const { report, stderr } = setUp();
    report.progress(state, false);
    report.progress(state, true);
    expect(stderr.text).toBe(`${line}\n`);
  });

  test("is one live line on a terminal, fitted to its width and erased by other lines", () => {
    const { report, stderr } = setUp({ terminal: true });
    report.progress(state, false);
    report.progress({ ...state, step: 2 }, true); // too soon after the first to be seen
    report.info("saved");
    report.progress({ ...state, step: 9 }, false); // the last one is always shown
    report.result({}, "done");
    const first = "step 1/9   11%  loss 0.5000  10 s left";
    const last = "step 9/9  100%  loss 0.5000  10 s left";
    expect(stderr.text).toBe(`${first}\r\x1b[2Ksaved\n${last}\r\x1b[2K`);
  });
});

function caught(body: () => void): unknown {
  try {
    body();
  } catch (error) {
    return error;
  }
  return undefined;
}
