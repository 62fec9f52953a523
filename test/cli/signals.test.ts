import { expect, test } from "bun:test";
import { createReport } from "../../cli/report.ts";
import { listenForStop } from "../../cli/signals.ts";
import { fakeOutput } from "./fake-output.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)(
  "the first %s asks to stop, a second signal ends the process, none is heard afterwards",
  (signal, code) => {
    const stderr = fakeOutput();
    const report = createReport({ json: false, quiet: false, stdout: fakeOutput(), stderr });
    const before = signals.map((name) => process.listenerCount(name));
    const ended: number[] = [];
    {
      using stop = listenForStop(report, (exitCode) => {
        ended.push(exitCode);
        throw new Error("ended");
      });
      expect([stop.isRequested, stop.exitCode]).toEqual([false, undefined]);
      process.emit(signal, signal);
      expect([stop.isRequested, stop.exitCode]).toEqual([true, code]);
      expect(ended).toEqual([]);
      expect(stderr.text).toBe(
        `warn  ${signal}: saving a checkpoint, then stopping; a second signal exits now\n`,
      );
      expect(() => process.emit("SIGINT", "SIGINT")).toThrow("ended");
      expect(ended).toEqual([130]);
    }
    expect(signals.map((name) => process.listenerCount(name))).toEqual(before);
  },
);
