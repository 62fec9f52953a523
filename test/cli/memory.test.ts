import { describe, expect, test } from "bun:test";
import { byteSize } from "../../cli/byte-size.ts";
import { memoryWarning } from "../../cli/memory.ts";
import { availableHostMemory } from "../../core/host-memory.ts";

test.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1536 * 1024, "1.5 MiB"],
  [150 * 2 ** 30, "150 GiB"],
  [2 ** 60, "1048576 TiB"],
])("%p bytes are %s", (bytes, text) => {
  expect(byteSize(bytes)).toBe(text);
});

describe("free memory", () => {
  const files = (extra: Record<string, string>) => (path: string) =>
    ({ "/proc/meminfo": "MemTotal: 9 kB\nMemAvailable:    2048 kB\n", ...extra })[path];
  const group = (max: string, current: string) =>
    files({ "/sys/fs/cgroup/memory.max": max, "/sys/fs/cgroup/memory.current": current });

  test("is the system's, or what a control group leaves of it", () => {
    expect(availableHostMemory(files({}))).toBe(2 * 2 ** 20);
    expect(availableHostMemory(group("max", "1000"))).toBe(2 * 2 ** 20);
    expect(availableHostMemory(group("5000", "1000"))).toBe(4000);
    expect(availableHostMemory(group("1000", "5000"))).toBe(0);
    expect(availableHostMemory(group("99999999999", "1000"))).toBe(2 * 2 ** 20);
  });

  test("that is less than a run's need is a warning", () => {
    const memory = { kind: "host", free: 2 ** 30, total: 2 ** 31, weights: "mapped" } as const;
    expect(memoryWarning({ memory: 2 ** 30 }, memory)).toBeUndefined();
    expect(memoryWarning({ memory: 3 * 2 ** 29 }, memory)).toBe(
      "the run may need 1.5 GiB of memory, but only 1.0 GiB are free: a smaller --batch-size needs less",
    );
    expect(memoryWarning({ memory: 3 * 2 ** 29 }, { ...memory, kind: "own" })).toStartWith(
      "the run may need 1.5 GiB of the device's memory, but only 1.0 GiB are free",
    );
    expect(memoryWarning({ memory: 3 * 2 ** 29 }, undefined)).toBeUndefined();
  });
});
