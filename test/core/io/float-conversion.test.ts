import { expect, test } from "bun:test";
import { toFloat32, toFloat64 } from "../../../core/io/float-conversion.ts";
import type { StoredDtype } from "../../../core/io/stored-tensor.ts";
import { failure } from "./scratch.ts";

const stored = (dtype: StoredDtype, values: { buffer: ArrayBufferLike; length: number }) => ({
  dtype,
  shape: [values.length],
  bytes: new Uint8Array(values.buffer),
});

test("each of the 65,536 halves converts like the engine's Float16Array", () => {
  const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
  const ours = new Uint32Array(toFloat32(stored("F16", all)).buffer);
  const theirs = Float32Array.from(new Float16Array(all.buffer));
  for (let i = 0; i < 65_536; i++) {
    const value = theirs[i]!;
    const same = Number.isNaN(value)
      ? (ours[i]! & 0x7f800000) === 0x7f800000 && (ours[i]! & 0x7fffff) !== 0
      : Object.is(new Float32Array(ours.buffer)[i], value);
    if (!same)
      throw new Error(`half 0x${i.toString(16)}: ${ours[i]?.toString(16)}, expected ${value}`);
  }
});

test("bfloat16 is the upper half of a float32", () => {
  const bits = Uint16Array.of(0x3fc0, 0xc2c8, 0x8000, 0x7f80, 0x0001);
  expect([...toFloat32(stored("BF16", bits))]).toEqual([1.5, -100, -0, Infinity, 2 ** -133]);
  expect(toFloat64(stored("BF16", bits))[0]).toBe(1.5);
});

test("float32 is viewed, not copied; float64 is rounded to float32 and kept in float64", () => {
  const single = Float32Array.of(0.1, -0);
  expect(toFloat32(stored("F32", single)).buffer).toBe(single.buffer);
  const double = Float64Array.of(0.1, 1e300);
  expect([...toFloat32(stored("F64", double))]).toEqual([Math.fround(0.1), Infinity]);
  expect(toFloat64(stored("F64", double)).buffer).toBe(double.buffer);
  expect([...toFloat64(stored("F32", single))]).toEqual([Math.fround(0.1), -0]);
});

test("a tensor at an unaligned offset is read correctly", () => {
  const at1 = (values: Float32Array | Float64Array | Uint16Array) => {
    const bytes = new Uint8Array(values.byteLength + 1);
    bytes.set(new Uint8Array(values.buffer), 1);
    return bytes.subarray(1);
  };
  const f32 = { dtype: "F32" as const, shape: [2], bytes: at1(Float32Array.of(1.5, -2)) };
  const f64 = { dtype: "F64" as const, shape: [1], bytes: at1(Float64Array.of(0.1)) };
  const f16 = { dtype: "F16" as const, shape: [1], bytes: at1(Uint16Array.of(0x3c00)) };
  expect([...toFloat32(f32)]).toEqual([1.5, -2]);
  expect([...toFloat64(f64)]).toEqual([0.1]);
  expect([...toFloat32(f16)]).toEqual([1]);
});

test("integers are not weights", () => {
  const ids = stored("I64", BigInt64Array.of(1n));
  expect(failure(() => toFloat32(ids, "model.bin: ids")).message).toBe(
    "model.bin: ids: must have a floating-point dtype, got I64 [1]",
  );
});
