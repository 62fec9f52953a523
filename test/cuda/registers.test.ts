import { expect, test } from "bun:test";
import { familyOf, kernelSources } from "../../ffi/cuda/sources.ts";
import { kernelsOf, misfits } from "./launch-limits.ts";
import { CAPABILITIES, digestOf, readTable } from "./registers.ts";

const table = readTable();

test("registers.json is of these kernels: else bun test/cuda/registers.ts renews it", () => {
  expect(table.capabilities).toEqual(CAPABILITIES);
  const sources = kernelSources().map((source) => [familyOf(source), digestOf(source)]);
  const measured = Object.entries(table.families).map(([family, { source }]) => [family, source]);
  expect(measured).toEqual(sources);
});

test("a digest depends on the code of a source and of its headers alone", () => {
  const digest = (text: string, header = "int a;") =>
    digestOf({ name: "x.cu", text, headers: new Map([["x.h", header]]) });
  const code = '#include "x.h"\nint b;\n';
  expect(digest(code)).toBe(digest('#include "x.h"\nint  /* of\n two lines */ b; // why\n'));
  expect(digest(code)).not.toBe(digest(code.replace("b", "c")));
  expect(digest(code)).not.toBe(digest(code, "int d;"));
  expect(digest("int b;")).toBe(digest("int b;", "int d;"));
});

test("no kernel spills registers on any architecture", () => {
  const kernels = [...kernelsOf(table)];
  expect(kernels.length).toBeGreaterThan(80);
  const spilled = kernels.filter(([, uses]) => uses.spilled.some((bytes) => bytes > 0));
  expect(spilled).toEqual([]);
  for (const [name, { registers, shared }] of kernels)
    expect([name, registers.length, shared.length]).toEqual([name, 6, 6]);
});

test("what a device refuses is named", () => {
  const uses = { threads: 128, registers: [33, 255], spilled: [0, 0], shared: [0, 1024] };
  const small = {
    capabilities: [80, 86],
    families: { some: { source: "", ptx: "", kernels: { one: uses } } },
  };
  const launched = (threads: number, shared: number) =>
    misfits(small, new Map([["one", { threads, shared }]]));
  expect(launched(128, 98 * 1024)).toEqual([]);
  expect(launched(256, 98 * 1024 + 1)).toEqual([
    "one on sm_80: 256 threads, bounded to 128",
    "one on sm_86: 256 threads, bounded to 128",
    "one on sm_86: 101377 bytes of shared memory, at most 101376",
  ]);
  expect(launched(128, 48 * 1024)).toEqual([
    "one on sm_86: 50176 bytes of shared memory, not requested",
  ]);
  expect(launched(288, 0).at(-1)).toBe("one on sm_86: 73728 registers, at most 65536");
  expect(misfits(small, new Map([["two", { threads: 1, shared: 0 }]]))).toEqual([
    "two is not in registers.json",
  ]);
});
