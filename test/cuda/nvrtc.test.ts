import { describe, expect, test } from "bun:test";
import { openNvrtc, targetFor } from "../../ffi/cuda/nvrtc.ts";
import { familyOf, kernelSources } from "../../ffi/cuda/sources.ts";
import { nvrtcCandidates, readUses } from "./registers.ts";
import table from "./registers.json" with { type: "json" };

/** Of NVRTC 13.2: other versions may use other numbers of registers. */
const uses: Readonly<Record<string, { registers: number; spilled: number; shared: number }>> =
  table.sm_80;

/** Families that compile in a tenth of a second each; registers.ts compiles all. */
const QUICK = ["rotary", "columns"];

const candidates = nvrtcCandidates();
const reason = candidates.length === 0 ? "no NVRTC: npm run setup -- --cuda fetches it" : undefined;

describe.skipIf(reason !== undefined)(
  `the real NVRTC${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    const sources = kernelSources().filter((source) => QUICK.includes(familyOf(source)));

    test.each([80, 86, 89, 90, 100, 120])(
      "compiles for sm_%i, with nothing spilled",
      (capability) => {
        const nvrtc = openNvrtc(candidates);
        if (!nvrtc.capabilities.includes(capability)) return;
        for (const source of sources) {
          const target = { capability, kind: "cubin" } as const;
          const { image, log } = nvrtc.compile(source, target, ["--ptxas-options=-v"]);
          expect(Buffer.from(image.subarray(1, 4)).toString()).toBe("ELF");
          const found = Object.entries(readUses(log));
          expect(found.length).toBeGreaterThan(1);
          for (const [name, { spilled }] of found) expect([name, spilled]).toEqual([name, 0]);
          if (capability === 80) for (const [name] of found) expect(uses).toHaveProperty(name);
        }
      },
    );

    test("a source that does not compile is an error with the compiler's words", () => {
      const source = { name: "wrong.cu", text: "KERNEL oops", headers: new Map<string, string>() };
      expect(() =>
        openNvrtc(candidates).compile(source, { capability: 80, kind: "cubin" }),
      ).toThrow(
        /^\[nvrtcCompileProgram wrong.cu for sm_80\] NVRTC_ERROR_COMPILATION\nwrong.cu\(1\): error: /,
      );
    });
  },
);

test("no kernel spills registers, or has more shared memory than any device", () => {
  const all = Object.entries(uses);
  expect(all.length).toBeGreaterThan(80);
  for (const [name, { spilled, shared }] of all)
    expect([name, spilled, shared <= 48 * 1024]).toEqual([name, 0, true]);
});

test("an image is for the device itself, an older one of its generation, or PTX of an older one", () => {
  const known = [75, 80, 86, 89, 90, 100, 120];
  expect(targetFor(89, known)).toEqual({ capability: 89, kind: "cubin" });
  expect(targetFor(87, known)).toEqual({ capability: 86, kind: "cubin" });
  expect(targetFor(130, known)).toEqual({ capability: 120, kind: "ptx" });
  expect(targetFor(70, known)).toBeUndefined();
});
