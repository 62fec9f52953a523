import { describe, expect, test } from "bun:test";
import { openNvrtc, targetFor } from "../../ffi/cuda/nvrtc.ts";
import { familyOf, kernelSources } from "../../ffi/cuda/sources.ts";
import { launchBounds } from "./launch-bounds.ts";
import { kernelsOf } from "./launch-limits.ts";
import { CAPABILITIES, nvrtcCandidates, readTable, readUses, REPORT } from "./registers.ts";

/** Families that compile in a tenth of a second, and for the first capability some of each kind. */
const QUICK = ["rotary"];
const FIRST = [...QUICK, "columns", "projections-bf16", "factor-gradients-bf16"];

const candidates = nvrtcCandidates();
const reason = candidates.length === 0 ? "no NVRTC: npm run setup -- --cuda fetches it" : undefined;

describe.skipIf(reason !== undefined)(
  `the real NVRTC${reason === undefined ? "" : ` (${reason})`}`,
  () => {
    const table = readTable();
    const kernels = kernelsOf(table);

    test.each(CAPABILITIES.map((capability, at) => [capability, at] as const))(
      "compiles for sm_%i, to what registers.json says of its version",
      (capability, at) => {
        const nvrtc = openNvrtc(candidates);
        if (!nvrtc.capabilities.includes(capability)) return;
        const families = at === 0 ? FIRST : QUICK;
        for (const source of kernelSources().filter((each) => families.includes(familyOf(each)))) {
          const target = { capability, kind: "cubin" } as const;
          const { image, log } = nvrtc.compile(source, target, REPORT);
          expect(Buffer.from(image.subarray(1, 4)).toString()).toBe("ELF");
          const bounds = launchBounds(image);
          const found = Object.entries(readUses(log));
          expect(found.length).toBeGreaterThan(0);
          for (const [name, { spilled, registers, shared }] of found) {
            const uses = kernels.get(name);
            expect([name, spilled, bounds.get(name)]).toEqual([name, 0, uses?.threads]);
            if (nvrtc.version === table.nvrtc)
              expect([registers, shared]).toEqual([uses!.registers[at]!, uses!.shared[at]!]);
          }
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

test("an image is for the device itself, an older one of its generation, or PTX of an older one", () => {
  const known = [75, 80, 86, 89, 90, 100, 120];
  expect(targetFor(89, known)).toEqual({ capability: 89, kind: "cubin" });
  expect(targetFor(87, known)).toEqual({ capability: 86, kind: "cubin" });
  expect(targetFor(130, known)).toEqual({ capability: 120, kind: "ptx" });
  expect(targetFor(121, known)).toEqual({ capability: 120, kind: "cubin" });
  expect(targetFor(70, known)).toBeUndefined();
  // Code for Tegra systems, 8.7 and 10.1, runs on these alone.
  const withTegra = [80, 86, 87, 90, 100, 101];
  expect(targetFor(88, withTegra)).toEqual({ capability: 86, kind: "cubin" });
  expect(targetFor(103, withTegra)).toEqual({ capability: 100, kind: "cubin" });
  expect(targetFor(101, withTegra)).toEqual({ capability: 101, kind: "cubin" });
});
