import { expect, test } from "bun:test";
import { outputOf } from "../../cli/terminal.ts";

/** The width of an output on a stream with these columns, if it is a terminal. */
function columnsOf(columns: number | undefined, env: NodeJS.ProcessEnv): number {
  const stream = { fd: 1, write: () => true, isTTY: columns !== undefined, columns };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that outputOf reads
  return outputOf(stream as unknown as NodeJS.WriteStream & { fd: number }, env).columns;
}

test.each([
  ["a terminal's own", 120, {}, 120],
  ["COLUMNS where that is less", 120, { COLUMNS: "60" }, 60],
  ["not COLUMNS where the terminal is narrower", 60, { COLUMNS: "200" }, 60],
  ["COLUMNS without a terminal", undefined, { COLUMNS: "100" }, 100],
  ["80 without either", undefined, {}, 80],
  ["80 for COLUMNS that is no number", undefined, { COLUMNS: "wide" }, 80],
] as const)("the width of a line is %s", (_, columns, env, expected) => {
  expect(columnsOf(columns, { ...env })).toBe(expected);
});

test.each([
  [{}, true],
  [{ CI: "false" }, true],
  [{ CI: "true" }, false],
  [{ TERM: "dumb" }, false],
] as const)("a terminal with %j is one to draw on: %p", (env, isTerminal) => {
  const stream = { fd: 1, write: () => true, isTTY: true, columns: 80 };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- all that outputOf reads
  const output = outputOf(stream as unknown as NodeJS.WriteStream & { fd: number }, { ...env });
  expect([output.isTerminal, output.colours]).toEqual([isTerminal, isTerminal]);
});
