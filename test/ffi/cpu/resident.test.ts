import { describe, expect, test } from "bun:test";
import type { HostTensor } from "../../../core/backend.ts";
import type { DisentangledShape } from "../../../core/kernels/attention.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { createResidentBackend } from "../../../ffi/cpu/resident.ts";
import { available } from "../../helpers/available.ts";

const MIB = 2 ** 20;

/** A float tensor as in a checkpoint; nothing reads its values. */
const stored = (rows: number, cols: number): HostTensor => ({
  dtype: "F32",
  shape: [rows, cols],
  bytes: new Uint8Array(4 * rows * cols),
});

const product = { m: 8, n: 1024, k: 1024 };

describe("of a checkpoint's weights, what is held", () => {
  test("in f32 is the file, once a product reads it", () => {
    const backend = createResidentBackend({ activation: "f32", master: "f32" });
    const weight = backend.adopt(stored(1024, 1024), "f32");
    expect(backend.resident()).toEqual({ file: 0, pool: 0 });
    const x = backend.alloc("f32", 8 * 1024);
    for (const transB of [true, false, true]) backend.gemm(x, weight, x, { ...product, transB });
    expect(backend.resident().file).toBe(4 * MIB);
  });

  test("in bf16 is a copy for each direction, and nothing of the file", () => {
    const backend = createResidentBackend({ activation: "bf16", master: "f32" });
    const weight = backend.adopt(stored(8192, 8192), "bf16");
    const x = backend.alloc("bf16", 1);
    const shape = { m: 8, n: 8192, k: 8192 };
    const pool = (copies: number) => copies * 128 * MIB + 64;
    backend.gemm(x, weight, x, { ...shape, transB: true });
    backend.gemm(x, weight, x, { ...shape, transB: true });
    expect(backend.resident()).toEqual({ file: 0, pool: pool(1) });
    backend.gemm(x, weight, x, { ...shape, transB: false });
    expect(backend.resident()).toEqual({ file: 0, pool: pool(2) });
  });

  test("of a table is what lies around the rows that are gathered", () => {
    const backend = createResidentBackend({ activation: "bf16", master: "f32" });
    const table = backend.adopt(stored(1000, 1024), "bf16"); // 16 rows in 64 KiB
    const ids = backend.alloc("i32", 5);
    backend.upload(ids, [0, 3, 15, 16, 990]);
    const y = backend.alloc("bf16", 5 * 1024);
    backend.gatherRows(table, ids, y, { rows: 5, cols: 1024, add: false });
    expect(backend.resident().file).toBe(3 * 65_536);
  });
});

test("the pool is as large as its blocks reached, holes included", () => {
  const backend = createResidentBackend({ activation: "f32", master: "f32" });
  const alloc = (mebibytes: number) => backend.alloc("f32", (mebibytes * MIB) / 4);
  const [one, , three] = [alloc(300), alloc(10), alloc(20)];
  backend.free(one);
  backend.free(three);
  alloc(310);
  expect(backend.resident().pool).toBe(620 * MIB);
  alloc(290); // where the first one was
  expect(backend.resident().pool).toBe(620 * MIB);
  expect(backend.memory()).toEqual({ live: 610 * MIB, peak: 610 * MIB });
});

const cpu = await available(() => createCpuBackend({ threads: 2 }));

test.skipIf(cpu.backend === undefined)("attention saves as on the CPU", () => {
  const backend = createResidentBackend({ activation: "f32", master: "f32" });
  const hostOffsets = Int32Array.of(0, 5, 12);
  const integers = backend.alloc("i32", 12);
  for (const queries of ["all", "first"] as const) {
    const shape: DisentangledShape = {
      packing: {
        sequences: 2,
        tokens: 12,
        hostOffsets,
        offsets: integers,
        positions: integers,
        span: 7,
      },
      queries,
      heads: 3,
      headDim: 4,
      scale: 1,
      relative: undefined,
      relativeRows: 0,
      dropout: undefined,
    };
    const saved = cpu.backend?.disentangledSaved(shape);
    expect(backend.disentangledSaved(shape)).toEqual(saved!);
    const length = 3 * (queries === "first" ? 12 : 25 + 49);
    expect(saved).toEqual({ dtype: "f32", length, readsOut: false });
  }
});
