import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hasSanitizer, runSanitized } from "../helpers/sanitizer.ts";

const project = join(import.meta.dir, "../..");
const root = mkdtempSync(join(tmpdir(), "adalora-sanitizer-"));
afterAll(() => rmSync(root, { recursive: true }));

writeFileSync(
  join(root, "fill.c"),
  `void fill(float *x, int n) { for (int i = 0; i < n; i++) x[i] = 1; }
   int twice(int x) { return x + x; }`,
);
const driver = join(root, "driver.ts");
writeFileSync(
  driver,
  `import { dlopen } from "bun:ffi";
   import { buildKernels } from "${project}/ffi/cpu/build.ts";
   import { memoryPool } from "${project}/ffi/pool.ts";
   const to = "${root}/out";
   const { manifest } = await buildKernels({ from: "${root}", to, sanitize: true, levels: ["avx2"] });
   const { fill, twice } = dlopen(to + "/" + manifest.libraries.avx2, {
     fill: { args: ["ptr", "i32"], returns: "void" },
     twice: { args: ["i32"], returns: "i32" },
   }).symbols;
   const pool = memoryPool();
   const x = pool.alloc(4 * 1001);
   const [what, count] = process.argv.slice(2);
   if (what === "free") pool.free(x);
   if (what === "overflow") twice(2 ** 30);
   else fill(x, Number(count));
   console.log("done");`,
);

describe.skipIf(!hasSanitizer)("under the sanitizers (they come with gcc)", () => {
  test("a kernel within bounds passes", () => {
    const { code, output } = runSanitized([driver, "fill", "1001"]);
    expect(output).toEndWith("done\n");
    expect(code).toBe(0);
  });

  test("one element past the end of a tensor is reported with its line", () => {
    const { code, output } = runSanitized([driver, "fill", "1002"]);
    expect(output).toContain("heap-buffer-overflow");
    expect(output).toContain("fill.c:1");
    expect(code).not.toBe(0);
  });

  test("a tensor used after it was freed is reported", () => {
    expect(runSanitized([driver, "free", "1"]).output).toContain("heap-use-after-free");
  });

  test("overflow of an integer is reported", () => {
    expect(runSanitized([driver, "overflow"]).output).toContain("signed integer overflow");
  });
});
