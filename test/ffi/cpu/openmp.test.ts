import { expect, test } from "bun:test";
import { join } from "node:path";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { spinsBeforeSleep } from "../../../ffi/cpu/openmp.ts";
import { available } from "../../helpers/available.ts";

const source = join(import.meta.dir, "../../../ffi/cpu/openmp.ts");
const { backend, reason } = await available(() => createCpuBackend({ threads: 2 }));

/** What the runtime says of itself when it is loaded into a process of its own. */
function displayed(variables: Record<string, string>): string {
  const { OMP_WAIT_POLICY: _, GOMP_SPINCOUNT: __, ...rest } = process.env;
  const script = `import { openOpenMp } from ${JSON.stringify(source)}; openOpenMp(undefined);`;
  const child = Bun.spawnSync([process.execPath, "-e", script], {
    env: { ...rest, OMP_DISPLAY_ENV: "verbose", ...variables },
  });
  return child.stderr.toString();
}

if (backend === undefined) test.skip(`OpenMP's runtime (${reason})`, () => {});
else
  test("idle threads sleep soon, unless the user decides", () => {
    expect(displayed({})).toMatch(/GOMP_SPINCOUNT = '200(00)?'/);
    expect(displayed({ GOMP_SPINCOUNT: "77" })).toMatch(/GOMP_SPINCOUNT = '77'/);
    expect(displayed({ OMP_WAIT_POLICY: "active" })).not.toMatch(/GOMP_SPINCOUNT = '200(00)?'/);
  });

test("on busy cores they sleep sooner", () => {
  expect(spinsBeforeSleep(2, 2)).toBe(20_000);
  expect(spinsBeforeSleep(4, 2)).toBe(200);
});
