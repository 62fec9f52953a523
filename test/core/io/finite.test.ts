import { expect, test } from "bun:test";
import { isFiniteTensor } from "../../../core/io/finite.ts";
import { float32Tensor } from "../../../core/io/stored-tensor.ts";

test("values that are not finite are found in every dtype, at every place", () => {
  const large = new Float32Array(100_003).fill(-3.4e38);
  expect(isFiniteTensor(float32Tensor([100_003], large))).toBe(true);
  large[100_002] = NaN;
  expect(isFiniteTensor(float32Tensor([100_003], large))).toBe(false);
  const of = (dtype: "F64" | "F16" | "BF16" | "I64", bytes: readonly number[]) =>
    isFiniteTensor({ dtype, shape: [1], bytes: Uint8Array.from([0, ...bytes]).subarray(1) });
  expect(of("F64", [0, 0, 0xf0, 0x7f, 0, 0, 0, 0])).toBe(true);
  expect(of("F64", [1, 0, 0, 0, 0, 0, 0xf0, 0x7f])).toBe(false);
  for (const [dtype, bits] of [
    ["F16", [0, 0xfc]],
    ["BF16", [0x80, 0x7f]],
  ] as const) {
    expect(of(dtype, [0, 0, 0, 0, ...bits])).toBe(false);
    expect(of(dtype, [0, 0, ...bits])).toBe(false);
    expect(of(dtype, [0, 0, bits[0], bits[1] - 1])).toBe(true);
  }
  expect(of("I64", [0, 0, 0, 0, 0, 0, 0xf0, 0x7f])).toBe(true);
});
