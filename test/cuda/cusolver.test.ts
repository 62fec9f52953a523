import { afterEach, beforeAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDecompose } from "../../cli/backend.ts";
import { decomposeOn } from "../../core/decomposer.ts";
import { coreOf, svdsOfProducts } from "../../core/adalora/low-rank-svd.ts";
import { type Decompose, decomposeOnCpu } from "../../core/jacobi-svd.ts";
import { type Matrix, product as multiply } from "../../core/matrix.ts";
import { AdaloraError } from "../../core/errors.ts";
import { toFloat64 } from "../../core/io/float-conversion.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { canonical } from "../../core/model/export/canonical.ts";
import { cusolverDecomposer, openSolverLibrary } from "../../ffi/cuda/cusolver.ts";
import { openDriver } from "../../ffi/cuda/driver.ts";
import { buildEmulator } from "../../ffi/cuda/emulator/build.ts";
import { controlEmulator } from "../../ffi/cuda/emulator/control.ts";
import {
  cudaLibraries,
  driverCandidates,
  MAJORS,
  missingSolver,
  solverLibraries,
} from "../../ffi/cuda/libraries.ts";
import { findSolver } from "../../ffi/cuda/open.ts";

/** A matrix of full rank. */
const matrix = (rows: number, cols: number, phase: number): Matrix => ({
  rows,
  cols,
  values: Float64Array.from({ length: rows * cols }, (_, i) => Math.sin(0.37 * i * i + phase)),
});

/** Path of the emulated driver, or why this machine can't have it. */
async function emulator(): Promise<{ driver: string } | string> {
  try {
    return await buildEmulator();
  } catch (error) {
    if (error instanceof AdaloraError && error.code === "E_MACHINE") return error.message;
    throw error;
  }
}

/** The newest cuSOLVER of this machine, and what it needs. */
const [real] = MAJORS.map((major) => ({
  ...cudaLibraries(major),
  ...solverLibraries(major),
  missing: missingSolver(major),
})).filter(({ cusolver }) => cusolver.length > 0);
const none = real === undefined ? " (there is none on this machine)" : "";

test.skipIf(real === undefined)(`the real cuSOLVER has all functions${none}`, () => {
  const { path, version } = openSolverLibrary(real!);
  expect(real!.cusolver).toContain(path);
  expect(version).toMatch(/^1[12]\.\d$/);
});

test("the libraries are those of CUDA's major version", () => {
  const dir = mkdtempSync(join(tmpdir(), "adalora-cusolver-"));
  const files = [
    "libcusolver.so.11",
    "libcusolver.so.12",
    "libcusparse.so.12",
    "libnvJitLink.so.12",
    "libnvJitLink.so.13",
    "libcusolverMg.so.12",
  ].map((name) => join(dir, name));
  for (const file of files) writeFileSync(file, "");
  const env = { ADALORA_CUDA: dir };
  const [solver11, solver12, cusparse, jit12, jit13] = files.map((file) => [file]);
  expect(solverLibraries(12, env)).toEqual({
    cusolver: solver11!,
    cusparse: cusparse!,
    nvJitLink: jit12!,
  });
  expect(solverLibraries(13, env)).toEqual({
    cusolver: solver12!,
    cusparse: cusparse!,
    nvJitLink: jit13!,
  });
  rmSync(dir, { recursive: true });
  expect(missingSolver(12, env)).toBe(`no libcusolver.so.11 in ${dir}`);
});

const built = await emulator();
if (typeof built === "string") test.skip(`the emulated cuSOLVER (${built})`, () => {});
else checkSolver(built.driver);

function checkSolver(driver: string) {
  const control = controlEmulator(driver);
  afterEach(() => {
    control.reset();
    control.apply({ unconverged: 0, early: 0, quiet: 0 });
  });

  /** Decomposes on the emulated device; `notes` has the line that says what was used. */
  const decompose: Decompose = (matrices) => {
    notes.length = 0;
    return onDevice!(matrices);
  };
  const notes: string[] = [];
  let onDevice: Decompose | undefined;
  beforeAll(async () => {
    const options = { device: "cuda-host", dtype: "f32" } as const;
    onDevice = await openDecompose(options, (line) => void notes.push(line));
  });

  const products = Array.from({ length: 14 }, (_, i) => ({
    b: matrix(40 + i, i + 1, i),
    a: matrix(i + 1, 36, 2 * i + 1),
  }));
  const cores = products.map((product) => coreOf(product));

  const largest = (values: Iterable<number>) => Math.max(0, ...Array.from(values, Math.abs));

  describe("cuSOLVER", () => {
    test.each([0, 1])("gives what the CPU does, signs too, in one call (early %i)", (early) => {
      control.reset();
      control.set("early", early);
      const svdOf = svdsOfProducts(products, (one) => one, decompose);
      expect(notes).toEqual(["singular values: cuSOLVER 12.2 on cuda:0"]);
      expect(control.report().kernels).toEqual({ cusolver: 1 });
      const onCpu = svdsOfProducts(products, (one) => one);
      for (const product of products) {
        const [got, expected] = [svdOf(product), onCpu(product)];
        for (const [x, y] of [
          [got.s, expected.s],
          [got.u.values, expected.u.values],
          [got.v.values, expected.v.values],
        ] as const) {
          expect(x.length).toBe(y.length);
          expect(largest(x.map((value, i) => value - y[i]!))).toBeLessThan(1e-10 * largest(y));
        }
      }
    });

    test("takes singular matrices and equal singular values, of different sizes", () => {
      const zeros: Matrix = { rows: 3, cols: 3, values: new Float64Array(9) };
      const unit: Matrix = { rows: 2, cols: 2, values: Float64Array.of(0, -7, 7, 0) };
      const single: Matrix = { rows: 1, cols: 1, values: Float64Array.of(-5) };
      const ofRank2 = multiply(matrix(40, 2, 1), matrix(2, 20, 2));
      const singular = coreOf({ b: ofRank2, a: matrix(20, 30, 3) });
      const all = [zeros, unit, matrix(32, 32, 1), singular, single];
      const found = decompose(all).map(({ s }) => [...s]);
      expect(notes).toEqual(["singular values: cuSOLVER 12.2 on cuda:0"]);
      for (const [i, { s }] of decomposeOnCpu(all).entries())
        expect(largest(s.map((value, k) => value - found[i]![k]!))).toBeLessThan(
          1e-13 * Math.max(1, largest(s)),
        );
    });

    test.each(["peft-adalora", "peft-lora"])("makes the same canonical files of %s", (name) => {
      const adapter = readPeftAdapter(join(import.meta.dir, "../fixtures/io", name));
      const [got, expected] = [canonical(adapter, decompose), canonical(adapter)];
      expect(notes).toEqual(["singular values: cuSOLVER 12.2 on cuda:0"]);
      for (const [i, module] of expected.modules.entries()) {
        const other = got.modules[i]!;
        for (const key of ["A", "B"] as const) {
          const [x, y] = [toFloat64(other[key]), toFloat64(module[key])];
          expect(other[key].shape).toEqual(module[key].shape);
          expect(largest(x.map((value, k) => value - y[k]!))).toBeLessThanOrEqual(
            1e-6 * largest(y),
          );
        }
      }
    });

    test("leaves a matrix that did not converge, and a rank above 32, to the CPU", () => {
      control.set("unconverged", 3);
      const all = [...cores.slice(0, 5), matrix(33, 33, 2)];
      const found = decompose(all);
      const expected = decomposeOnCpu(all);
      expect([found[2], found[5]]).toEqual([expected[2]!, expected[5]!]);
      expect(notes).toEqual([
        "singular values: cuSOLVER 12.2 on cuda:0; 2 of 6 on the CPU (not converged, of a rank above 32)",
      ]);
    });

    test("that fails when its handle is created destroys nothing, and the CPU's values count", () => {
      control.fail("cusolverDnCreate", 1, 1);
      expect(decompose(cores)).toEqual(decomposeOnCpu(cores));
      expect(notes).toEqual([
        "singular values: on the CPU: [cusolverDnCreate] CUSOLVER_STATUS_NOT_INITIALIZED (status 1)",
      ]);
      expect(control.report().calls).not.toHaveProperty("cusolverDnDestroy");
    });

    test("leaves the CPU's values and no memory behind, whichever native call fails", () => {
      control.set("quiet", 1);
      const { used, pinned } = control.report();
      const expected = decomposeOnCpu(cores);
      const seen = new Set<string>();
      // The first call only tells a stub of the driver, by one status.
      for (let n = 2; ; n++) {
        control.reset();
        control.fail("*", n, 7);
        const found = decompose(cores);
        const [, name] = /on the CPU: \[(\w+)/.exec(notes[0] ?? "") ?? [];
        if (name === undefined) break;
        expect([n, found]).toEqual([n, expected]);
        seen.add(name);
        const { calls, ...now } = control.report();
        const closing = /Destroy|Free|Release|Unmap/.test(name);
        if (closing) continue;
        expect([n, now.used, now.pinned, now.pending]).toEqual([n, used, pinned, 0]);
        for (const made of ["cusolverDnCreate", "cusolverDnCreateGesvdjInfo", "cuStreamCreate"]) {
          const count = (calls[made] ?? 0) - Number(name === made);
          const freed =
            made === "cuStreamCreate" ? "cuStreamDestroy_v2" : made.replace("Create", "Destroy");
          expect([n, made, calls[freed] ?? 0]).toEqual([n, made, count]);
        }
      }
      expect([...seen].filter((name) => name.startsWith("cusolver")).toSorted()).toEqual([
        "cusolverDnCreate",
        "cusolverDnCreateGesvdjInfo",
        "cusolverDnDestroy",
        "cusolverDnDestroyGesvdjInfo",
        "cusolverDnDgesvdjBatched",
        "cusolverDnDgesvdjBatched_bufferSize",
        "cusolverDnSetStream",
        "cusolverGetVersion",
      ]);
    });

    const hasDriver = driverCandidates().length > 0;
    test.skipIf(real === undefined || hasDriver)(
      `the real one without a driver says that it has none${none}${hasDriver ? " (there is a driver)" : ""}`,
      () => {
        const lines: string[] = [];
        const decomposer = cusolverDecomposer(0, () => ({
          ...real!,
          driver: openDriver([driver]),
        }));
        expect(decomposeOn(decomposer, (line) => void lines.push(line))(cores)).toEqual(
          decomposeOnCpu(cores),
        );
        expect(lines).toEqual([
          "singular values: on the CPU: [cusolverDnCreate] CUSOLVER_STATUS_NOT_INITIALIZED (status 1)",
        ]);
      },
    );

    test("that is not there is named, with where it was searched", () => {
      const env = { ADALORA_CUDA_DRIVER: driver, ADALORA_CUDA: "/nowhere" };
      const decomposer = cusolverDecomposer(0, () => findSolver(env));
      expect(() => decomposer.decompose(cores)).toThrow(
        "cannot load cuSOLVER\n  no libcusolver.so.12 in /nowhere",
      );
    });
  });
}
