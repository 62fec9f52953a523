import { toArrayBuffer } from "bun:ffi";
import { expect, test } from "bun:test";
import { argumentPacker, GroupedArguments } from "../../ffi/cuda/arguments.ts";
import { CudaBuffer } from "../../ffi/cuda/buffer.ts";
import { f32, GROUP, i32, i64, u32 } from "../../ffi/cuda/launcher.ts";
import { pointerAt } from "../../ffi/libc.ts";

/** What the driver reads at the ith address of a list. */
function argument(addresses: Uint32Array, i: number, bytes = 8): DataView {
  const address = addresses[2 * i]! + addresses[2 * i + 1]! * 2 ** 32;
  return new DataView(toArrayBuffer(pointerAt(address), 0, bytes));
}

const bufferAt = (pointer: number) => new CudaBuffer("f32", 1, pointer);

/** The highest address of a process. */
const HIGHEST = 2 ** 47 - 256;

test("arguments lie where cuLaunchKernel reads them", () => {
  const pack = argumentPacker();
  pack(Array.from({ length: 9 }, () => i64(-1))); // what was there before does not stay
  const numbers = [i32(-2), u32(2 ** 32 - 1), i64(2 ** 40 + 3), i64(-(2 ** 40))];
  const addresses = pack([bufferAt(HIGHEST), undefined, f32(0.1), ...numbers]);
  const wide = [0, 1, 3, 5, 6].map((i) => Number(argument(addresses, i).getBigInt64(0, true)));
  expect(wide).toEqual([HIGHEST, 0, -2, 2 ** 40 + 3, -(2 ** 40)]);
  expect(argument(addresses, 2).getFloat32(0, true)).toBe(Math.fround(0.1));
  expect(argument(addresses, 4).getUint32(0, true)).toBe(2 ** 32 - 1);
});

test("a group's arguments follow each other, and those past its end are null", () => {
  const args = new GroupedArguments({
    rows: "int",
    x: "each pointer",
    seed: "each int",
    scale: "each float",
  });
  const { at, addresses } = args;
  const pointers = () => {
    const x = argument(addresses, 1, 8 * GROUP);
    return Array.from({ length: 4 }, (_, i) => Number(x.getBigUint64(8 * i, true)));
  };
  args.begin(3);
  args.int(at.rows, 0, 7);
  for (let i = 0; i < 3; i++) {
    args.pointer(at.x, i, bufferAt(HIGHEST - 4 * i));
    args.int(at.seed, i, 2 ** 31 + i);
    args.float(at.scale, i, 0.5 + i);
  }
  expect(argument(addresses, 0).getInt32(0, true)).toBe(7);
  expect(pointers()).toEqual([HIGHEST, HIGHEST - 4, HIGHEST - 8, 0]);
  const seeds = argument(addresses, 2, 4 * GROUP);
  const scales = argument(addresses, 3, 4 * GROUP);
  for (let i = 0; i < 3; i++) {
    expect(seeds.getUint32(4 * i, true)).toBe(2 ** 31 + i);
    expect(scales.getFloat32(4 * i, true)).toBe(0.5 + i);
  }
  args.begin(1);
  expect(pointers()).toEqual([HIGHEST, 0, 0, 0]);
});
