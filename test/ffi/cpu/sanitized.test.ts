import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { hasSanitizer, runSanitized } from "../../helpers/sanitizer.ts";

const conformance = ["cpu", "cpu-bf16"].map((name) =>
  join(import.meta.dir, `../../conformance/${name}.test.ts`),
);

describe.skipIf(!hasSanitizer)("the CPU kernels under the sanitizers (they come with gcc)", () => {
  test("every conformance case stays within its buffers and defined behaviour", () => {
    const { code, output } = runSanitized(["test", "--timeout", "1200000", ...conformance]);
    const report = output.split("\n").filter((line) => line !== "" && !line.startsWith("(pass)"));
    expect(report.join("\n")).toMatch(/^ \d{3,} pass\n( \d+ skip\n)? 0 fail$/m);
    expect(code).toBe(0);
  });
});
