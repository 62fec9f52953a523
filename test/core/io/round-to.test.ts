import { expect, test } from "bun:test";
import { toFloat64 } from "../../../core/io/float-conversion.ts";
import { writeRounded } from "../../../core/io/round-to.ts";
import { DTYPE_BYTES } from "../../../core/io/stored-tensor.ts";

function rounded(dtype: "F16" | "BF16" | "F32", values: readonly number[]): number[] {
  const bytes = new Uint8Array(values.length * DTYPE_BYTES[dtype]);
  writeRounded(dtype, Float64Array.from(values), bytes, "x");
  return [...toFloat64({ dtype, shape: [values.length], bytes })];
}

test("bf16: to the nearest, ties to the even one, infinities and NaN kept", () => {
  // 1 + 2^-8 lies between 1 and 1 + 2^-7: the even one is 1; 1 + 3 * 2^-8 goes up.
  const values = [1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, -0.5, 1e39, NaN];
  expect(rounded("BF16", values)).toEqual([1, 1 + 2 ** -6, 1 + 2 ** -7, -0.5, Infinity, NaN]);
});

test("f16: to the nearest, also below the smallest normal number", () => {
  const values = [1 + 2 ** -11, 1 + 3 * 2 ** -11, 2 ** -24, 2 ** -26, 65_504, 1e5];
  expect(rounded("F16", values)).toEqual([1, 1 + 2 ** -9, 2 ** -24, 0, 65_504, Infinity]);
});

test("f32: as Math.fround", () => {
  expect(rounded("F32", [0.1, 1e300])).toEqual([Math.fround(0.1), Infinity]);
});

test("an integer dtype is refused", () => {
  const write = () => writeRounded("I64", Float64Array.of(1), new Uint8Array(8), "the tensor");
  expect(write).toThrow("the tensor: must have a floating-point dtype, got I64");
});
