import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { AdaloraError } from "../../core/errors.ts";
import { type KernelLibrary, kernelLibrary } from "../../ffi/cpu/build.ts";
import { dnnlCandidates, openDnnl } from "../../ffi/cpu/dnnl.ts";
import { type MatmulOperand, type MatmulShape, openMatmul } from "../../ffi/cpu/matmul.ts";
import { openProductCalls } from "../../ffi/cpu/product-calls.ts";
import type { MatmulType } from "../../ffi/cpu/primitive.ts";
import { openOpenMp } from "../../ffi/cpu/openmp.ts";
import { mappedLibraries } from "../../ffi/libc.ts";
import { copyIn, viewBytes } from "../../ffi/memory.ts";
import { type MemoryPool, memoryPool } from "../../ffi/pool.ts";

const compiled = await kernelLibrary().catch((error: unknown) => {
  if (error instanceof AdaloraError) return undefined; // no compiler, or not the processor
  throw error;
});
const found = dnnlCandidates().some((path) => existsSync(path));
const pool = memoryPool();

/** Numbers without a pattern that a wrong stride could keep. */
const wave = (n: number, phase: number) =>
  Float32Array.from({ length: n }, (_, i) => Math.sin(1.7 * i + phase) + 0.1 * Math.cos(0.3 * i));

/** bf16 by truncation, as u16; and the f32 number that it stands for. */
const toBf16 = (x: Float32Array) => Uint16Array.from(new Uint32Array(x.buffer), (b) => b >>> 16);
const fromBf16 = (x: Uint16Array) => new Float32Array(Uint32Array.from(x, (b) => b << 16).buffer);

function copyToPool(values: Float32Array, type: MatmulType) {
  const raw = type === "bf16" ? toBf16(values) : values;
  const pointer = pool.alloc(raw.byteLength);
  copyIn(pointer, raw);
  return pointer;
}

type PlainShape = MatmulShape & { readonly b: MatmulOperand };

/** C[m,n] = op(A) op(B) + beta C in f64, with element strides. */
function product(
  s: PlainShape,
  a: Float32Array,
  b: Float32Array,
  start: Float32Array,
  bias?: Float32Array,
) {
  const c = Float64Array.from(start);
  for (let i = 0; i < s.m; i++)
    for (let j = 0; j < s.n; j++) {
      let sum = bias?.[j] ?? 0;
      for (let p = 0; p < s.k; p++)
        sum +=
          a[i * s.a.rowStride + p * s.a.columnStride]! *
          b[p * s.b.rowStride + j * s.b.columnStride]!;
      const at = i * s.c.rowStride + j;
      c[at] = sum + (s.accumulate ? c[at]! : 0);
    }
  return c;
}

function worst(got: ArrayLike<number>, want: ArrayLike<number>) {
  let error = 0;
  for (let i = 0; i < want.length; i++) error = Math.max(error, Math.abs(got[i]! - want[i]!));
  return error;
}

if (!found || compiled === undefined)
  test.skip("oneDNN: it or the C kernels are not here; npm run setup fetches and compiles them", () => {});

function oneDnnTests(kernels: KernelLibrary) {
  const openmp = openOpenMp(kernels.openmp); // before oneDNN, which is to share it
  const dnnl = openDnnl();
  const { sgemm } = openProductCalls(dnnl.path, kernels.path);
  const matmul = openMatmul(dnnl.path, kernels.path, pool);

  test("reports its version and path", () => {
    expect(dnnl.version).toMatch(/^3\.\d+\.\d+ [0-9a-f]{8}$/);
    expect(dnnl.path).toStartWith("/");
  });

  test("one OpenMP runtime is mapped, and its thread count can be set", () => {
    // Two would be two competing thread pools.
    const isRuntime = (path: string) => /\/lib(gomp|omp|iomp5)[.-][^/]*$/.test(path);
    expect(mappedLibraries().filter(isRuntime)).toHaveLength(1);
    const before = openmp.threads();
    openmp.setThreads(1);
    expect(openmp.threads()).toBe(1);
    openmp.setThreads(before);
    expect(openmp.threads()).toBe(before);
  });

  for (const transA of [false, true])
    for (const transB of [false, true])
      for (const beta of [0, 1])
        test(`sgemm ${transA ? "T" : "N"}${transB ? "T" : "N"} beta ${beta}, leading dimensions wider than the rows`, () => {
          const [m, n, k] = [33, 17, 31];
          const [lda, ldb, ldc] = [(transA ? m : k) + 3, (transB ? k : n) + 5, n + 2];
          const [a, b] = [wave(lda * (transA ? k : m), 1), wave(ldb * (transB ? n : k), 2)];
          const start = beta === 0 ? new Float32Array(m * ldc).fill(Number.NaN) : wave(m * ldc, 3);
          const c = copyToPool(start, "f32");
          sgemm(
            transA,
            transB,
            m,
            n,
            k,
            1,
            copyToPool(a, "f32"),
            lda,
            copyToPool(b, "f32"),
            ldb,
            beta,
            c,
            ldc,
          );
          const want = product(
            {
              m,
              n,
              k,
              a: { type: "f32", rowStride: transA ? 1 : lda, columnStride: transA ? lda : 1 },
              b: { type: "f32", rowStride: transB ? 1 : ldb, columnStride: transB ? ldb : 1 },
              c: { type: "f32", rowStride: ldc },
              bias: false,
              accumulate: beta === 1,
            },
            a,
            b,
            start,
          );
          const got = new Float32Array(viewBytes(c, 4 * m * ldc));
          for (let i = 0; i < m; i++)
            expect(
              worst(got.subarray(i * ldc, i * ldc + n), want.subarray(i * ldc, i * ldc + n)),
            ).toBeLessThan(2e-5);
          // elements between the rows are unchanged
          expect([...got.subarray(n, ldc)]).toEqual([...start.subarray(n, ldc)]);
        });

  test("a bad leading dimension is an error with the call's name", () => {
    const p = pool.alloc(4096);
    expect(() => sgemm(false, false, 8, 8, 8, 1, p, 4, p, 8, 0, p, 8)).toThrow(
      "[dnnl_sgemm] invalid arguments (status 2)",
    );
  });

  test("products of many row counts, each with a transposed matrix to copy, work in one block", () => {
    const taken: number[] = [];
    const watched: MemoryPool = {
      ...pool,
      alloc(bytes) {
        taken.push(bytes);
        return pool.alloc(bytes);
      },
    };
    const [k, n] = [1024, 64];
    const multiply = openMatmul(dnnl.path, kernels.path, watched);
    const shapeOf = (m: number): MatmulShape => ({
      m,
      n,
      k,
      a: { type: "f32", rowStride: k, columnStride: 1 },
      b: { type: "f32", rowStride: 1, columnStride: k },
      c: { type: "f32", rowStride: n },
      bias: false,
      accumulate: false,
    });
    const [a, b, c] = [96 * k, k * n, 96 * n].map((count) => copyToPool(wave(count, 1), "f32"));
    for (let m = 96; m > 80; m--) multiply.run(shapeOf(m), a!, b!, c!);
    expect(taken.length).toBeLessThanOrEqual(matmul.hasJit("f32") ? 2 : 1);
    if (matmul.hasJit("f32")) expect(Math.max(...taken)).toBeGreaterThan(4 * k);
  });

  /** Operand type, result type, error relative to the largest number (2^-8: half a step of bf16). */
  const types: [MatmulType, MatmulType, number][] = [["f32", "f32", 4e-6]];
  if (matmul.hasJit("bf16")) types.push(["bf16", "f32", 4e-6], ["bf16", "bf16", 2 ** -8]);

  for (const [type, to, tolerance] of types)
    for (const layout of ["fwd: X W^T", "bwd: dY W", "dW: dY^T X"])
      for (const extra of ["", "bias", "sum"])
        test(`matmul ${type} -> ${to} ${layout} ${extra}`, () => {
          const [m, n, k] = [65, 40, 520];
          const shape: PlainShape = {
            m,
            n,
            k,
            a: layout.startsWith("dW")
              ? { type, rowStride: 1, columnStride: m }
              : { type, rowStride: k, columnStride: 1 },
            b: layout.startsWith("fwd")
              ? { type, rowStride: 1, columnStride: k }
              : { type, rowStride: n, columnStride: 1 },
            c: { type: to, rowStride: n },
            bias: extra === "bias",
            accumulate: extra === "sum",
          };
          const round = (x: Float32Array) => (type === "bf16" ? fromBf16(toBf16(x)) : x);
          const [a, b] = [round(wave(m * k, 1)), round(wave(k * n, 2))];
          const start = to === "bf16" ? fromBf16(toBf16(wave(m * n, 3))) : wave(m * n, 3);
          const bias = shape.bias ? wave(n, 4) : undefined;
          const c = copyToPool(start, to);
          matmul.run(
            shape,
            copyToPool(a, type),
            copyToPool(b, type),
            c,
            bias && copyToPool(bias, "f32"),
          );
          const got =
            to === "bf16"
              ? fromBf16(new Uint16Array(viewBytes(c, 2 * m * n)))
              : new Float32Array(viewBytes(c, 4 * m * n));
          const want = product(shape, a, b, start, bias);
          const size = Math.max(...want.map(Math.abs));
          expect(worst(got, want)).toBeLessThan(tolerance * size);
        });

  for (const [type, to, tolerance] of types)
    for (const transposed of [false, true])
      test(`matmul ${type} -> ${to} by ${transposed ? "W^T" : "W"} packed once, whatever the rows`, () => {
        const [n, k] = [72, 130]; // neither a multiple of a block
        const from: MatmulOperand = transposed
          ? { type: "f32", rowStride: 1, columnStride: k }
          : { type: "f32", rowStride: n, columnStride: 1 };
        const w = fromBf16(toBf16(wave(k * n, 2))); // exact in either type
        const layout = matmul.layout(k, n, type);
        const packed = pool.alloc(layout.bytes);
        matmul.pack(layout, copyToPool(w, "f32"), from, packed);
        for (const m of [1, 3, 64, 257]) {
          const shape = {
            m,
            n,
            k,
            bias: false,
            accumulate: false,
            a: { type, rowStride: k, columnStride: 1 },
            c: { type: to, rowStride: n },
          };
          const a = fromBf16(toBf16(wave(m * k, 1)));
          const c = pool.alloc(4 * m * n);
          matmul.run({ ...shape, b: layout }, copyToPool(a, type), packed, c);
          const got =
            to === "bf16"
              ? fromBf16(new Uint16Array(viewBytes(c, 2 * m * n)))
              : new Float32Array(viewBytes(c, 4 * m * n));
          const want = product({ ...shape, b: from }, a, w, new Float32Array(m * n));
          const size = Math.max(...want.map(Math.abs));
          expect(worst(got, want)).toBeLessThan(tolerance * size);
        }
      });

  test("more shapes than are kept still give right products", () => {
    openmp.setThreads(1); // small products on a busy machine: threads would only wait for each other
    const n = 16;
    const [a, b] = [wave(700 * n, 1), wave(n * n, 2)];
    const [pa, pb, c] = [copyToPool(a, "f32"), copyToPool(b, "f32"), pool.alloc(4 * 700 * n)];
    for (const m of [...Array(600).keys(), 0, 599, 0].map((i) => i + 1)) {
      const operand = { type: "f32", rowStride: n, columnStride: 1 } as const;
      const shape: PlainShape = {
        m,
        n,
        k: n,
        a: operand,
        b: operand,
        c: operand,
        bias: false,
        accumulate: false,
      };
      if (m % 50 === 0) Bun.gc(true); // what a kept shape points to must not be collected
      matmul.run(shape, pa, pb, c);
      const last = new Float32Array(viewBytes(c, 4 * m * n)).subarray((m - 1) * n);
      const row = { ...shape, m: 1 };
      expect(
        worst(last, product(row, a.subarray((m - 1) * n), b, new Float32Array(n))),
      ).toBeLessThan(1e-5);
    }
  });
}

if (found && compiled !== undefined) describe("oneDNN", () => oneDnnTests(compiled));

describe("dnnlCandidates", () => {
  test("ADALORA_DNNL alone is tried when it is set", () => {
    expect(dnnlCandidates({ ADALORA_DNNL: "/opt/libdnnl.so.3" })).toEqual(["/opt/libdnnl.so.3"]);
  });

  test("set-up's copy comes last, and the working directory never", () => {
    const candidates = dnnlCandidates({ LD_LIBRARY_PATH: ".:lib:" });
    expect(candidates.at(-1)).toEndWith("/.native/onednn-2023.2.0/libdnnl.so.3");
    expect(candidates.every((path) => path.startsWith("/"))).toBe(true);
  });

  test("a library that is not oneDNN is named with the way out", () => {
    expect(() => openDnnl(["/nowhere/libdnnl.so.3"])).toThrow(
      "cannot load oneDNN\n  /nowhere/libdnnl.so.3: no such file",
    );
  });
});
