import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { maxThreads } from "../../../core/thread-limit.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { spinsBeforeSleep } from "../../../ffi/cpu/openmp.ts";
import { available } from "../../helpers/available.ts";

const source = join(import.meta.dir, "../../../ffi/cpu/backend.ts");
const { backend, reason } = await available(() => createCpuBackend({ threads: 2 }));

/** What the runtime says of itself when a backend loads it into a process of its own. */
function displayed(variables: Record<string, string>): string {
  const { OMP_WAIT_POLICY: _, GOMP_SPINCOUNT: __, ...rest } = process.env;
  const script = `import { createCpuBackend } from ${JSON.stringify(source)}; await createCpuBackend();`;
  const child = Bun.spawnSync([process.execPath, "-e", script], {
    env: { ...rest, OMP_DISPLAY_ENV: "verbose", ...variables },
  });
  return child.stderr.toString();
}

const SIZE = 200;
/** Opens a backend on the given threads; prints a product's last sum, or the error. */
const product = `
  import { createCpuBackend } from ${JSON.stringify(source)};
  const n = ${SIZE}, options = JSON.parse(process.argv[1]);
  try {
    const backend = await createCpuBackend(options);
    const a = backend.alloc("f32", n * n), c = backend.alloc("f32", n * n);
    backend.upload(a, new Float32Array(n * n).fill(1));
    backend.zero(c);
    backend.gemm(a, a, c, { m: n, n, k: n });
    console.log(Math.min(...backend.download(c)));
  } catch ({ code, message, hint }) { console.log([code, message, hint].join("\\n")); }`;

/** What `product` prints under the given variables. */
function productUnder(variables: Record<string, string>, options: { threads?: number }): string {
  const child = Bun.spawnSync([process.execPath, "-e", product, JSON.stringify(options)], {
    env: { ...process.env, ...variables },
  });
  expect(child.stderr.toString()).toBe("");
  return child.stdout.toString().trim();
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

describe.skipIf(backend === undefined)("a stack size for OpenMP's threads", () => {
  test.each([
    ["OMP_STACKSIZE", "10k"],
    ["OMP_STACKSIZE", "16"],
    ["OMP_STACKSIZE", "0"],
    ["OMP_STACKSIZE", "-1"],
    ["OMP_STACKSIZE", "99999999G"],
    ["OMP_STACKSIZE", "big"],
    ["GOMP_STACKSIZE", "200B"],
    ["GOMP_STACKSIZE", ""],
  ])("%s=%p is refused before the runtime reads it", (name, value) => {
    expect(productUnder({ [name]: value }, { threads: 2 })).toBe(
      [
        "E_MACHINE",
        `${name} must be 256K to 1G, got ${JSON.stringify(value)}`,
        `unset ${name}: threads need no other stack than the system's default`,
      ].join("\n"),
    );
  });

  test.each(["256", " 8 M ", "1g", "300000b"])("%p is taken", (value) => {
    expect(productUnder({ OMP_STACKSIZE: value }, { threads: 2 })).toBe(String(SIZE));
  });
});

describe.skipIf(backend === undefined)("variables of OpenMP", () => {
  test.each([
    { OMP_DYNAMIC: "true" },
    { OMP_MAX_ACTIVE_LEVELS: "0" },
    { OMP_NESTED: "true", OMP_SCHEDULE: "dynamic,1", OMP_PROC_BIND: "close", OMP_PLACES: "{0}" },
    { OMP_NUM_THREADS: "100000", OMP_CANCELLATION: "true" },
  ])("%j leave every product whole", (variables) => {
    expect(productUnder(variables, { threads: 2 })).toBe(String(SIZE));
  });

  test("OMP_THREAD_LIMIT is followed by default, and against --threads refused", () => {
    const limit = { OMP_THREAD_LIMIT: "1" };
    expect(productUnder(limit, {})).toBe(String(SIZE));
    expect(productUnder(limit, { threads: 2 })).toBe(
      [
        "E_MACHINE",
        "OpenMP grants 1 of the 2 requested threads: OMP_THREAD_LIMIT is 1",
        "use --threads 1, or raise OMP_THREAD_LIMIT",
      ].join("\n"),
    );
  });

  test("more threads than the machine can use are refused", () => {
    const most = maxThreads();
    expect(productUnder({}, { threads: most })).toBe(String(SIZE));
    expect(productUnder({}, { threads: 100_000 })).toStartWith(
      `E_FLAG\n--threads must be at most ${most} on this machine, got 100000`,
    );
  });
});
