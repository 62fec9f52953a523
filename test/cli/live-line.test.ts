import { expect, test } from "bun:test";
import { liveLine } from "../../cli/live-line.ts";
import { screenOf } from "../helpers/screen.ts";
import { fakeOutput } from "./fake-output.ts";

test("a block is replaced in place, and erased without a trace", () => {
  const output = fakeOutput({ columns: 20 });
  const line = liveLine(output);
  output.write("before\n");
  line.show("preparing", true);
  line.showBlock(() => ["one", "two", "three"], true);
  line.showBlock(() => ["1", "2"], true);
  expect(screenOf(output.text, 20)).toEqual(["before", "1", "2", ""]);
  output.write(`${line.erase()}message\n`);
  line.restore();
  expect(screenOf(output.text, 20)).toEqual(["before", "message", "1", "2", ""]);
  line.show("ending", true);
  output.write(`${line.erase()}after\n`);
  line.restore(); // a single line is not shown again
  expect(screenOf(output.text, 20)).toEqual(["before", "message", "after", ""]);
});

test("a block that a narrower terminal has wrapped is erased whole", () => {
  let columns = 20;
  const output = {
    ...fakeOutput(),
    text: "",
    write: (more: string) => void (output.text += more),
    get columns() {
      return columns;
    },
  };
  const line = liveLine(output);
  output.write("before\n");
  line.showBlock(() => ["a".repeat(19), "\x1b[2mb\x1b[0m"], true);
  columns = 10;
  // What a terminal makes of it: the first line takes two of ten columns.
  const wrapped = output.text.replace("a".repeat(19), `${"a".repeat(10)}\n${"a".repeat(9)}`);
  const before = output.text.length;
  line.showBlock(() => ["c"], true);
  expect(screenOf(wrapped + output.text.slice(before), 10)).toEqual(["before", "c", ""]);
});

test("a low terminal shows the first lines; a block that comes too soon is not made", () => {
  const output = fakeOutput({ columns: 20, rows: 3 });
  const line = liveLine(output);
  line.showBlock(() => ["1", "2", "3"], true);
  line.showBlock(() => {
    throw new Error("made");
  }, false);
  expect(screenOf(output.text, 20)).toEqual(["1", "2", ""]);
});
