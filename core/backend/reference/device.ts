import type { Device } from "../../device.ts";
import { hostMemory } from "../../host-memory.ts";

/** The reference backend as a device: plain loops in f64, on every machine. */
export const referenceDevice: Device = {
  name: "reference",
  about: "slow and exact, in f64",
  automatic: false,
  dtypes: ["f32"], // the default; the numbers are f64 all the same
  selfTestHint: "the reference is what other devices are compared with",
  types: () => ({ activation: "f64", master: "f64" }),
  refusal: () => undefined,

  async open() {
    const { createReferenceBackend } = await import("../reference.ts");
    return createReferenceBackend();
  },

  async memoryModel() {
    const { referenceMemory } = await import("./memory.ts");
    return referenceMemory();
  },

  memory: () => hostMemory("resident"),
  doctor: () => Promise.resolve([]),
};
