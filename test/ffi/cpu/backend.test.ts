import { describe, expect, test } from "bun:test";
import type { Buffer, HostTensor } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { available } from "../../helpers/available.ts";
import { integers, masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const { backend: cpu, reason } = await available(() => createCpuBackend({ threads: 2 }));
const bf16 = await available(() => createCpuBackend({ threads: 2, dtype: "bf16" }));

if (cpu === undefined) test.skip(`the cpu backend (${reason})`, () => {});
else {
  const weight = (n: number) => {
    const values = new Float32Array(new ArrayBuffer(4 * n)).fill(1);
    return { dtype: "F32", shape: [n], bytes: new Uint8Array(values.buffer), values };
  };

  describe("adopted weights", () => {
    test("a large aligned F32 tensor is used in place", () => {
      const tensor = weight(100_000);
      const before = cpu.memory().live;
      const buffer = cpu.adopt(tensor, "f32");
      tensor.values[99_999] = 5;
      expect(cpu.download(buffer)[99_999]).toBe(5);
      expect(cpu.memory().live).toBe(before);
    });

    test("a small one is copied: the JS heap may move it", () => {
      const tensor = weight(10);
      const buffer = cpu.adopt(tensor, "f32");
      tensor.values[9] = 5;
      expect(cpu.download(buffer)[9]).toBe(1);
    });

    test("they are read-only, in whole and in part", () => {
      const buffer = cpu.adopt(weight(10), "f32");
      expect(() => cpu.zero(buffer)).toThrow("a checkpoint's weights are read-only");
      const part = cpu.view(buffer, 2, 5);
      expect(() => cpu.add(part, masters(cpu, [1, 2, 3, 4, 5]))).toThrow("read-only");
    });

    test("a type that is no number's is a bug", () => {
      const tensor = { dtype: "BOOL", shape: [4], bytes: new Uint8Array(4) };
      expect(() => cpu.adopt(tensor, "f32")).toThrow("a tensor of BOOL cannot become a weight");
    });
  });

  describe("adopted weights in bf16", () => {
    const halves = (n: number) => {
      const values = new Uint16Array(new ArrayBuffer(2 * n)).fill(0x3f80);
      return { dtype: "BF16", shape: [n], bytes: new Uint8Array(values.buffer), values };
    };
    const inBf16 = createCpuBackend({ threads: 2, dtype: "bf16" }).catch(() => undefined);

    test("a large tensor of bf16 is used in place", async () => {
      const backend = await inBf16;
      if (!backend) return;
      const tensor = halves(100_000);
      const buffer = backend.adopt(tensor, "bf16");
      tensor.values[99_999] = 0x4000;
      expect(backend.download(buffer)[99_999]).toBe(2);
    });

    test("large floats wait: gathering converts the rows that it reads, and nothing else", async () => {
      const backend = await inBf16;
      if (!backend) return;
      const tensor = weight(100_000);
      const table = backend.adopt(tensor, "bf16");
      const row = backend.alloc("bf16", 2);
      const read = (id: number) => {
        const shape = { rows: 1, cols: 2, add: false };
        backend.gatherRows(table, integers(backend, [id]), row, shape);
        return [...backend.download(row)];
      };
      tensor.values[99_999] = 5;
      expect(read(49_999)).toEqual([1, 5]); // not yet converted when it was adopted
      expect(backend.download(table)[99_999]).toBe(5); // converts it
      tensor.values[99_999] = 6;
      expect(read(49_999)).toEqual([1, 5]);
    });
  });

  describe("packed weights", () => {
    const [rows, width] = [40, 256];
    const product = async (tensor: HostTensor, times: number) => {
      const backend = await createCpuBackend({ threads: 2, dtype: "bf16" });
      const x = backend.alloc("bf16", rows * width);
      backend.upload(x, new Float32Array(rows * width).fill(1));
      const y = backend.alloc("f32", rows * width);
      const matrix = backend.adopt(tensor, "bf16");
      const shape = { m: rows, n: width, k: width, transB: true };
      for (let i = 0; i < times; i++) backend.gemm(x, matrix, y, shape);
      return { backend, matrix, y, again: () => backend.gemm(x, matrix, y, shape) };
    };
    const stored: [string, () => HostTensor & { values: Float32Array | Uint16Array }][] = [
      ["F32", () => weight(width * width)],
      ["F16", () => halves(width * width, 0x3c00)],
      ["BF16", () => halves(width * width, 0x3f80)],
    ];
    const halves = (n: number, one: number) => {
      const values = new Uint16Array(new ArrayBuffer(2 * n)).fill(one);
      const dtype = one === 0x3c00 ? "F16" : "BF16";
      return { dtype, shape: [n], bytes: new Uint8Array(values.buffer), values };
    };
    for (const [dtype, make] of stored)
      test.skipIf(!bf16.backend)(`${dtype}: read once, at the first product`, async () => {
        const tensor = make();
        const { backend, y, again } = await product(tensor, 0);
        tensor.values.fill(0, 1, width); // of the first output, but for its first term
        again();
        expect([...backend.download(y).subarray(0, 2)]).toEqual([1, width]);
        tensor.values.fill(0);
        again();
        expect([...backend.download(y).subarray(0, 2)]).toEqual([1, width]);
      });

    test.skipIf(!bf16.backend)("a part of a matrix is never packed", async () => {
      const { backend, matrix, y } = await product(weight(width * width), 1);
      const part = () => backend.view(matrix, 0, 64 * width);
      const x = backend.alloc("bf16", width);
      backend.upload(x, new Float32Array(width).fill(2));
      const before = process.memoryUsage.rss();
      for (let i = 0; i < 2000; i++)
        backend.gemm(x, part(), y, { m: 1, n: 64, k: width, transB: true });
      expect(backend.download(y)[0]).toBe(2 * width);
      expect(process.memoryUsage.rss() - before).toBeLessThan(30 * 2 ** 20); // packed, they would take 62
    });
  });

  describe("adapters' products have the same bits on one thread and on two", () => {
    const [rows, cols, rank] = [301, 220, 12];
    const products = async (dtype: "f32" | "bf16", threads: number) => {
      const backend = await createCpuBackend({ threads, dtype });
      const filled = (length: number, phase: number, type = backend.master) => {
        const buffer = backend.alloc(type, length);
        backend.upload(buffer, wave(length, phase));
        return buffer;
      };
      const x = filled(rows * cols, 1, backend.activation);
      const [y, h] = [filled(rows * cols, 2, backend.activation), filled(rows * rank, 3)];
      const [factor, gradient] = [filled(rank * cols, 4), filled(rank * cols, 5)];
      const increment = { h, e: filled(rank, 6), scale: 0.5, factor, transposed: true, rank };
      backend.addLowRank(y, increment, undefined, { rows, cols });
      backend.addFactorGradient(x, increment, gradient, { rows, cols });
      const out = backend.alloc(backend.master, rows * rank);
      backend.gemm(x, factor, out, { m: rows, n: rank, k: cols });
      return [y, gradient, out].map((buffer) => Array.from(backend.download(buffer)));
    };
    for (const dtype of ["f32", "bf16"] as const)
      test.skipIf(dtype === "bf16" && !bf16.backend)(dtype, async () => {
        const alone = await products(dtype, 1);
        expect(await products(dtype, 2)).toEqual(alone); // last, as the count is the process's
      });
  });

  describe("memory", () => {
    test("live bytes follow alloc and free; views have none; the peak stays", () => {
      const before = cpu.memory().live;
      const buffer = cpu.alloc("f32", 1_000_000);
      const view = cpu.view(buffer, 5, 10);
      expect(cpu.memory().live).toBe(before + 4_000_000);
      cpu.free(view);
      expect(cpu.memory().live).toBe(before + 4_000_000);
      cpu.free(buffer);
      expect(cpu.memory().live).toBe(before);
      expect(cpu.memory().peak).toBeGreaterThanOrEqual(before + 4_000_000);
    });

    test("a freed buffer is refused", () => {
      const buffer = masters(cpu, [1]);
      cpu.free(buffer);
      expect(() => cpu.download(buffer)).toThrow("freed buffer");
      expect(() => cpu.free(buffer)).toThrow("freed buffer");
    });

    test("scratch that grows leaves live bytes as they were", () => {
      const [rows, cols] = [64, 5000];
      const x = cpu.alloc("f32", rows * cols);
      const sum = cpu.alloc("f32", cols);
      cpu.zero(x);
      cpu.zero(sum);
      const before = cpu.memory().live;
      cpu.addColumnSums(x, sum, rows, cols);
      expect(cpu.memory().live).toBe(before);
    });
  });

  describe("bugs above end before C", () => {
    const x = masters(cpu, [1, 2, 3]);

    test.each<[string, () => void, string]>([
      ["a short buffer", () => cpu.addBias(x, x, 2, 2), "got f32 [3], expected f32 [4]"],
      ["a wrong type", () => cpu.add(x, integers(cpu, [1, 2, 3])), "got i32 [3], expected f32 [3]"],
      ["a view past the end", () => cpu.view(x, 2, 2), "a view lies within its buffer"],
      ["another backend's buffer", () => cpu.add(x, foreign()), "got another backend's buffer"],
      ["a type it has not", () => cpu.alloc("f64", 1), "has no f64 buffers"],
    ])("%s", (_, act, message) => {
      expect(act).toThrow(message);
    });

    test.each<[string, (ids: Buffer) => void]>([
      ["gatherRows", (ids) => cpu.gatherRows(x, ids, x, { rows: 1, cols: 1, add: false })],
      ["scatterAddRows", (ids) => cpu.scatterAddRows(x, ids, x, 1, 1)],
      ["unfold", (ids) => cpu.unfold(x, ids, x, { rows: 1, cols: 1, width: 1 })],
      ["foldAdd", (ids) => cpu.foldAdd(x, ids, x, { rows: 1, cols: 1, width: 1 })],
      ["crossEntropy", (ids) => cpu.crossEntropy(x, ids, x, x, 1, 3)],
    ])("%s reports an index outside its table", (_, act) => {
      expect(() => act(integers(cpu, [3]))).toThrow("an index points outside its table (status 1)");
      expect(() => act(integers(cpu, [-2]))).toThrow("an index points outside its table");
    });
  });

  const foreign = () => masters(createReferenceBackend(), [1, 2, 3]);
}
