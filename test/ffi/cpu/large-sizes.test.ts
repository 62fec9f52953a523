import { describe, expect, test } from "bun:test";
import type { Packing } from "../../../core/kernels/attention.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { ATTENTION_SIZES } from "../../../ffi/cpu/backend/attention.ts";
import { CpuBuffer, type CpuType, elementBytes } from "../../../ffi/cpu/backend/buffer.ts";
import { CHOSEN_ROWS_SIZES } from "../../../ffi/cpu/backend/chosen-rows.ts";
import { openSizes } from "../../../ffi/cpu/backend/kernels.ts";
import { LOW_RANK_SIZES } from "../../../ffi/cpu/backend/low-rank.ts";
import { MULTI_HEAD_SIZES } from "../../../ffi/cpu/backend/multi-head.ts";
import { NARROW_SIZES } from "../../../ffi/cpu/backend/products.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { kernelLibrary } from "../../../ffi/cpu/build.ts";
import { libc, pointerAt } from "../../../ffi/libc.ts";
import { available } from "../../helpers/available.ts";
import { wave } from "../../helpers/wave.ts";

const { backend, reason } = await available(() => createCpuBackend({ threads: 2 }));

const READ_WRITE = 0x3;
const PRIVATE_ANONYMOUS_UNRESERVED = 0x4022;

/** Address space without memory: only pages that are written to become resident. */
function reserve(bytes: number): number {
  const flags = PRIVATE_ANONYMOUS_UNRESERVED;
  return Number(libc.mmap(null, Math.ceil(bytes / 4096) * 4096, READ_WRITE, flags, -1, 0));
}

function sparse(length: number, dtype: CpuType = "f32"): CpuBuffer {
  const pointer = pointerAt(reserve(length * elementBytes[dtype]));
  return new CpuBuffer(dtype, length, pointer, { writable: true });
}

/**
 * Rows before those that a kernel reads: 17 heads of them are more than 2^31, as are 136 columns.
 */
const FAR = 2 ** 27;
const [TOKENS, HEADS, DIM] = [37, 17, 8];
const WIDTH = HEADS * DIM;
/** The largest of the tensors below, several of which are needed. */
const isPossible = backend !== undefined && reserve((FAR + TOKENS) * WIDTH * 4) > 0;

if (backend === undefined || !isPossible)
  test.skip(`sizes above 2^31 (${reason ?? "this system reserves no such address space"})`, () => {});
else {
  const filled = (values: ArrayLike<number>, at: number, width: number) => {
    const buffer = sparse(at * width + values.length);
    backend.upload(backend.view(buffer, at * width, values.length), values);
    return buffer;
  };
  const integers = (values: readonly number[], at = 0) => {
    const buffer = sparse(at + values.length, "i32");
    backend.upload(backend.view(buffer, at, values.length), values);
    return buffer;
  };
  /** The last `length` elements. */
  const end = (buffer: CpuBuffer, length: number) =>
    Array.from(backend.download(backend.view(buffer, buffer.length - length, length)));

  describe("rows beyond 2^31 elements", () => {
    const [rows, cols] = [2 ** 21 + 3, 1024];

    test("are gathered and added to", () => {
      const table = filled(wave(2 * cols, 1), rows - 2, cols);
      const y = sparse(2 * cols);
      backend.gatherRows(table, integers([rows - 1, rows - 2]), y, { rows: 2, cols, add: false });
      const [first, second] = [end(table, cols), end(table, 2 * cols).slice(0, cols)];
      expect(end(y, 2 * cols)).toEqual([...first, ...second]);
      backend.scatterAddRows(y, integers([rows - 1, rows - 1]), table, 2, cols);
      const sums = first.map((x, i) => Math.fround(Math.fround(x + x) + second[i]!));
      expect(end(table, cols)).toEqual(sums);
    });

    test("are attended to by choice", () => {
      const attend = (at: number) => {
        const [k, v] = [filled(wave(3 * cols, 2), at, cols), filled(wave(3 * cols, 3), at, cols)];
        const [q, out] = [filled(wave(cols, 1), 0, cols), sparse(cols)];
        const shape = { rows: 1, count: 3, heads: 2, headDim: cols / 2, scale: 20 };
        const index = integers([at + 1, at, at + 2]);
        backend.attendChosenRows({ q, k, v, index }, out, shape);
        return end(out, cols);
      };
      expect(attend(rows)).toEqual(attend(0));
    });
  });

  /** One sequence from row `at` on, its operands and a place for its results. */
  const sequence = (at: number) => {
    const hostOffsets = Int32Array.of(at, at + TOKENS);
    const packing: Packing = {
      sequences: 1,
      tokens: at + TOKENS,
      hostOffsets,
      span: TOKENS,
      offsets: integers([...hostOffsets]),
      positions: integers([...Array.from({ length: TOKENS }).keys()], at),
    };
    const operand = (phase: number) => filled(wave(TOKENS * WIDTH, phase), at, WIDTH);
    const result = () => sparse((at + TOKENS) * WIDTH);
    return { packing, operand, result };
  };
  const dropout: Dropout = { probability: 0.1, seed: [1, 2], step: 3, site: 4 };

  describe.each([undefined, dropout])("attention beyond 2^31 elements, dropout: %j", (dropped) => {
    const heads = { heads: HEADS, headDim: DIM, scale: 3, dropout: dropped };

    /** The disentangled one and its gradients, whose positions are few. */
    const disentangled = (at: number): number[][] => {
      const { packing, operand, result } = sequence(at);
      const relativeRows = 2 * TOKENS - 1;
      const relative = integers([...Array.from({ length: relativeRows }).keys()]);
      const shape = { packing, queries: "all", relative, relativeRows, ...heads } as const;
      const position = (phase: number) => filled(wave(relativeRows * WIDTH, phase), 0, WIDTH);
      const positions = { posKey: position(4), posQuery: position(5) };
      const inputs = { q: operand(1), k: operand(2), v: operand(3), ...positions };
      const [out, saved] = [result(), sparse(HEADS * TOKENS * TOKENS)];
      backend.disentangledAttention(inputs, { out, saved }, shape);
      const empty = {
        posKey: sparse(relativeRows * WIDTH),
        posQuery: sparse(relativeRows * WIDTH),
      };
      const grads = { q: result(), k: result(), v: result(), ...empty };
      backend.disentangledAttentionBackward(
        operand(6),
        inputs,
        { saved, out: undefined },
        grads,
        shape,
      );
      const own = [out, grads.q, grads.k, grads.v].map((buffer) => end(buffer, TOKENS * WIDTH));
      return [...own, end(grads.posKey, WIDTH), end(grads.posQuery, WIDTH)];
    };

    const multiHead = (at: number): number[][] => {
      const { packing, operand, result } = sequence(at);
      const shape = { queries: packing, keys: packing, causal: true, ...heads };
      const inputs = { q: operand(1), k: operand(2), v: operand(3) };
      const [out, logSumExp] = [result(), sparse(HEADS * packing.tokens)];
      backend.attention(inputs, { out, logSumExp }, shape);
      const grads = { q: result(), k: result(), v: result() };
      backend.attentionBackward(operand(6), { ...inputs, out, logSumExp }, grads, shape);
      return [out, grads.q, grads.k, grads.v].map((buffer) => end(buffer, TOKENS * WIDTH));
    };

    test.each([
      ["disentangled", disentangled],
      ["multi-head", multiHead],
    ])("%s", (_, attend) => {
      const far = attend(FAR);
      const values = far.flat();
      expect(values.every(Number.isFinite)).toBe(true);
      expect(values.some((x) => x !== 0)).toBe(true);
      // Dropout's masks belong to rows, so that other rows have others.
      if (dropped === undefined) expect(far).toEqual(attend(0));
    });
  });

  test("scratch of more than 2^31 floats is counted in full", async () => {
    const { path } = await kernelLibrary();
    const sizes = openSizes(path, {
      ...ATTENTION_SIZES,
      ...CHOSEN_ROWS_SIZES,
      ...LOW_RANK_SIZES,
      ...MULTI_HEAD_SIZES,
      ...NARROW_SIZES,
    });
    const counts: [string, (n: number) => number | bigint][] = [
      ["attention", (n) => sizes.adl_attention_scratch(4, n, 1, null, 12, 64)],
      ["multi-head attention", (n) => sizes.adl_multi_head_scratch(n, n, 1, 128, -1)],
      ["low rank, columns", (n) => sizes.adl_low_rank_scratch(64, n, 256)],
      ["gradient of a factor, rows", (n) => sizes.adl_factor_gradient_scratch(n, 64, 256)],
      ["narrow products", (n) => sizes.adl_multiply_narrow_scratch(1024, n)],
      ["chosen rows", (n) => sizes.adl_chosen_rows_scratch(n)],
    ];
    const [small, large] = [2 ** 16, 2 ** 30];
    for (const [name, count] of counts) {
      // Linear in n, once there is enough work for all threads.
      const slope = (Number(count(2 * small)) - Number(count(small))) / small;
      const expected = Number(count(small)) + slope * (large - small);
      expect(expected, name).toBeGreaterThanOrEqual(2 ** 31);
      expect(Number(count(large)), name).toBe(expected);
    }
  });
}
