import { describe, expect, test } from "bun:test";
import { createReport } from "../../cli/report.ts";
import { wrappedMessage } from "../../cli/wrap-message.ts";
import { AdaloraError } from "../../core/errors.ts";
import { fakeOutput } from "./fake-output.ts";

/** What a report on a terminal of this width writes to stderr; without a width, to a file. */
function written(
  columns: number | undefined,
  write: (report: ReturnType<typeof createReport>) => void,
) {
  const stderr = fakeOutput({ isTerminal: columns !== undefined, columns: columns ?? 80 });
  write(createReport({ json: false, quiet: false, debug: false, stdout: fakeOutput(), stderr }));
  return stderr.text.replaceAll("\r\u001b[2K", "");
}

const error = new AdaloraError(
  "E_FILE",
  "/data/train.tsv: line 3 has four cells where the header has three",
  {
    hint: "./adalora run --resume --out 'my runs/it'\\''s' --lr 1e-3 continues from there, if nothing else has changed",
  },
);

describe("a message on a terminal", () => {
  test("breaks at its spaces, and a command in it stays whole", () => {
    expect(written(40, (report) => report.error(error))).toBe(
      [
        "error  /data/train.tsv: line 3 has four",
        "       cells where the header has three",
        "  hint: ./adalora run --resume --out 'my runs/it'\\''s' --lr 1e-3",
        "        continues from there, if nothing",
        "        else has changed",
        "",
      ].join("\n"),
    );
  });

  test("of columns is indented as its text", () => {
    const text = "classes     entailment 10, not_entailment 10, neutral 4";
    expect(written(36, (report) => report.info(text))).toBe(
      "classes     entailment 10,\n            not_entailment 10,\n            neutral 4\n",
    );
  });

  test("takes the whole width, of which 100 columns are used", () => {
    const text = "word ".repeat(19).trimEnd();
    expect(written(94, (report) => report.info(text))).toBe(`${text}\n`);
    expect(written(94, (report) => report.warn(text))).toBe(
      `warn  ${text.slice(0, 84)}\n      word word\n`,
    );
    expect(written(300, (report) => report.info(`${text} ${text}`)).split("\n")[0]).toHaveLength(
      99,
    );
  });
});

test("a message elsewhere is never broken", () => {
  const text = "word ".repeat(60).trimEnd();
  expect(written(undefined, (report) => report.warn(text, [text]))).toBe(
    `warn  ${text}\n  ${text}\n`,
  );
});

test.each([
  "apt-get install libomp-dev, or gcc instead",
  "npm run setup recompiles it",
  'adalora data check "my data" lists them',
  "`adalora plan rte --max-length 256 --device cpu`",
  "/opt/my-tools/adalora run rte --resume --out /data/runs/a --seed 3",
  "/usr/bin/bun cli/main.ts run --resume --out x",
])("a command stays in one line: %s", (text) => {
  const [command = ""] = text.split(/(?:,| recompiles| lists) /);
  const lines = wrappedMessage(`first do this: ${text}`, 24).split("\n");
  expect(lines.some((line) => line.includes(command))).toBe(true);
});

test("prose with apostrophes is prose", () => {
  expect(wrappedMessage("it isn't what you'd think, can't be", 20)).toBe(
    "it isn't what you'd\nthink, can't be",
  );
});
