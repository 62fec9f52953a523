import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { hasSanitizer, runSanitized } from "../../helpers/sanitizer.ts";

const files = ["conformance/cpu", "conformance/cpu-bf16", "ffi/cpu/large-sizes"].map((name) =>
  join(import.meta.dir, `../../${name}.test.ts`),
);

/*
 * Not under the thread sanitizer: it does not see gcc's OpenMP synchronize, whose barriers are
 * futexes of an uninstrumented libgomp, and reports a race at the end of every parallel region, of
 * partial sums that are added up after it. That threads don't race is left to the conformance
 * cases, which want the same bits of every repeated call.
 */
describe.skipIf(!hasSanitizer)("the CPU kernels under the sanitizers (they come with gcc)", () => {
  test("every conformance case and large size stays within its buffers and defined behaviour", () => {
    const { code, output } = runSanitized(["test", "--timeout", "1200000", ...files]);
    const report = output.split("\n").filter((line) => line !== "" && !line.startsWith("(pass)"));
    expect(report.join("\n")).toMatch(/^ \d{3,} pass\n( \d+ skip\n)? 0 fail$/m);
    expect(code).toBe(0);
  });
});
