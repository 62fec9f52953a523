import { afterAll, expect, test } from "bun:test";
import { checkBackend } from "../../cli/backend.ts";
import { deviceRow } from "../../cli/plan-text.ts";
import type { Backend } from "../../core/backend.ts";
import { resolveConfig } from "../../core/config/run-config.ts";
import { differingSettings } from "../../core/run/fingerprint.ts";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { available } from "../helpers/available.ts";

let exact: EmulatedBackend | undefined;
const { reason } = await available(async () => (exact = await createEmulatedBackend()).backend);

/** The product of a number with 1. */
function product(backend: Backend, value: number): number {
  const [a, b, c] = [1, 1, 1].map(() => backend.alloc("f32", 1));
  backend.upload(a!, [value]);
  backend.upload(b!, [1]);
  backend.gemm(a!, b!, c!, { m: 1, n: 1, k: 1 });
  const result = backend.download(c!)[0]!;
  for (const each of [a!, b!, c!]) backend.free(each);
  return result;
}

/** 1 and a last digit that TF32 does not have. */
const FINE = 1 + 2 ** -12;

if (exact === undefined) test.skip(`--tf32 on the emulated device (${reason})`, () => {});
else {
  const { backend, control } = exact;
  afterAll(() => {
    control.reset();
    backend.close();
  });

  test("float products keep all digits, or those of TF32 with --tf32", async () => {
    const { backend: rounding } = await createEmulatedBackend("f32", { tf32: true });
    expect([product(backend, FINE), product(rounding, FINE)]).toEqual([FINE, 1]);
    // Without an algorithm of cuBLASLt, cuBLAS does the same.
    control.fail("cublasLtMatmulAlgoGetHeuristic", 1, 15);
    const shape = { m: 1, n: 1, k: 2 };
    const [a, c] = [rounding.alloc("f32", 2), rounding.alloc("f32", 1)];
    rounding.upload(a, [FINE, 0]);
    rounding.gemm(a, a, c, shape);
    expect([...rounding.download(c)]).toEqual([1]);
    expect(control.report().calls["cublasGemmEx"]).toBe(1);
    expect(rounding.details).toMatchObject({ float_products: "tf32" });
    expect(backend.details).not.toHaveProperty("float_products");
    rounding.close();
  });
}

test.skipIf(exact === undefined)("products in bf16 are cuBLASLt's with --tf32, too", async () => {
  const { backend, control } = await createEmulatedBackend("bf16", { tf32: true });
  control.reset();
  const [a, b, c] = [1, 1, 1].map(() => backend.alloc("bf16", 1));
  for (const each of [a!, b!]) backend.upload(each, [1.5]);
  backend.gemm(a!, b!, c!, { m: 1, n: 1, k: 1 });
  expect([...backend.download(c!)]).toEqual([2.25]);
  expect(control.report().kernels).toEqual({ cublasLt: 1 });
  backend.close();
});

test("only a device that has TF32 products takes --tf32", () => {
  const choice = { dtype: "f32", tf32: true } as const;
  expect(() => checkBackend({ ...choice, device: "cpu" })).toThrow(
    "--tf32 needs --device cuda: cpu has no TF32 products",
  );
  for (const dtype of ["f32", "bf16"] as const)
    expect(() => checkBackend({ ...choice, dtype, device: "cuda-host" })).not.toThrow();
});

test("a plan says that products are rounded", () => {
  const machine = { device: "cuda", dtype: "f32", threads: 2 };
  const rowOf = (tf32: boolean) => deviceRow(machine, tf32)[1];
  expect(rowOf(true)).toBe("cuda, f32, products in TF32, 2 threads");
  expect(rowOf(false)).toBe("cuda, f32, 2 threads");
});

test("a run with TF32 does not resume one without", () => {
  const [one, other] = [true, false].map((tf32) => {
    const values = { task: "classification", model: "m", tf32 } as const;
    return resolveConfig([{ values, name: (name) => name }]);
  });
  expect(differingSettings(one!, other!)).toEqual(["tf32"]);
});
