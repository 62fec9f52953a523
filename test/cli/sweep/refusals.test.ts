import { expect, test } from "bun:test";
import { main } from "../../../cli/main.ts";
import { createReport } from "../../../cli/report.ts";
import { fakeOutput } from "../fake-output.ts";

test.each([
  [["--lr", "0.01"], "values to sweep over"],
  [["--lr", "0.01..0.1"], "a range needs --random N"],
  [["--lr", "0.01,x"], "or several separated by commas"],
  [["--lr", "0.01,0.1", "--method", "lora", "--lr-e", "0.1"], "--lr-e does not apply"],
])("sweep %j is refused", async (flags, message) => {
  const [stdout, stderr] = [fakeOutput(), fakeOutput()];
  const open = (options: { json: boolean; quiet: boolean }) =>
    createReport({ ...options, stdout, stderr });
  const code = await main(["sweep", "rte", ...flags], { open });
  expect([code, stderr.text]).toEqual([1, expect.stringContaining(message)]);
});
