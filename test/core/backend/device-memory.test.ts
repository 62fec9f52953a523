import { expect, test } from "bun:test";
import { createDeviceMemoryModel } from "../../../core/backend/device-memory.ts";

const MIB = 2 ** 20;
const types = { activation: "bf16", master: "f32" } as const;

test("a device's memory holds weights in the run's dtype, and blocks at the lowest fit", () => {
  const model = createDeviceMemoryModel(types, { overhead: 5 * MIB });
  const bytes = new Uint8Array(4 * MIB); // f32 in the file
  model.adopt({ dtype: "F32", shape: [MIB], bytes }, "bf16");
  expect(model.peakBytes(0)).toBe(5 * MIB + 2 * MIB);
  const [one, two] = [model.alloc("f32", 1), model.alloc("f32", MIB)];
  expect(model.peakBytes(0)).toBe(7 * MIB + 256 + 4 * MIB);
  model.free(two);
  model.free(one);
  model.alloc("bf16", MIB); // where the others were
  expect(model.peakBytes(0)).toBe(7 * MIB + 256 + 4 * MIB);
  expect(model.memory()).toEqual({ live: 2 * MIB, peak: 4 * MIB + 4 });
});

test("the data sets that the host holds are not in it", () => {
  const model = createDeviceMemoryModel(types, { overhead: 5, alignment: 64 });
  model.alloc("f32", 1);
  expect(model.peakBytes(MIB)).toBe(5 + 64);
});
