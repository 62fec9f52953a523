import { expect, test } from "bun:test";
import { createReport } from "../../cli/report.ts";
import { listenForStop } from "../../cli/signals.ts";
import { fakeOutput } from "./fake-output.ts";

test("the first signal asks to stop, the second ends the process, none is heard afterwards", () => {
  const stderr = fakeOutput();
  const report = createReport({ json: false, quiet: false, stdout: fakeOutput(), stderr });
  const before = process.listenerCount("SIGINT");
  const ended: number[] = [];
  {
    using stop = listenForStop(report, (code) => {
      ended.push(code);
      throw new Error("ended");
    });
    expect(stop.signal.aborted).toBe(false);
    process.emit("SIGTERM", "SIGTERM");
    expect(stop.signal.aborted).toBe(true);
    expect(ended).toEqual([]);
    expect(stderr.text).toBe(
      "warn  SIGTERM: saving a checkpoint after this step; a second signal exits now\n",
    );
    expect(() => process.emit("SIGINT", "SIGINT")).toThrow("ended");
    expect(ended).toEqual([130]);
  }
  expect(process.listenerCount("SIGINT")).toBe(before);
  expect(process.listenerCount("SIGTERM")).toBe(before);
});
