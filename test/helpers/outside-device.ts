import type { Backend, Timer } from "../../core/backend.ts";
import { createDeviceMemoryModel } from "../../core/backend/device-memory.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import type { Device } from "../../core/device.ts";

const MIB = 2 ** 20;

/** Milliseconds that the abacus needs for a product, and for any other kernel. */
export const [PRODUCT, OTHER] = [2, 0.25];

/** Entries that only the host runs. */
const ON_HOST = new Set(["alloc", "free", "view", "adopt", "memory", "disentangledSaved"]);

/** Wraps a backend as a device that is slower than the host, on a clock of its own. */
export function withDeviceClock(inner: Backend): Backend {
  let queuedUntil = 0;
  const marks: number[] = [];
  const timer: Timer = {
    mark: () => marks.push(queuedUntil) - 1,
    read: (some) => some.map((mark) => marks[mark]! - marks[some[0]!]!),
    clear: () => void (marks.length = 0),
  };
  return new Proxy(inner, {
    get(target, key, receiver) {
      if (key === "timer") return timer;
      const entry: unknown = Reflect.get(target, key, receiver);
      if (typeof entry !== "function" || ON_HOST.has(String(key))) return entry;
      return (...args: unknown[]): unknown => {
        queuedUntil += key === "gemm" ? PRODUCT : OTHER;
        return Reflect.apply(entry, target, args);
      };
    },
  });
}

/**
 * A device from outside: the reference's loops under another name, with rules, memory and a clock
 * of its own.
 */
export const abacus: Device = {
  name: "abacus",
  about: "beads on wires",
  automatic: true,
  dtypes: ["bf16", "f32"],
  selfTestHint: "count again",
  types: () => ({ activation: "f64", master: "f64" }),
  refusal: (dtype) => (dtype === "bf16" ? "its beads are too coarse" : undefined),
  open: () => Promise.resolve({ ...createReferenceBackend(), name: "abacus" }),
  memoryModel: (dtype) =>
    Promise.resolve(createDeviceMemoryModel(abacus.types(dtype), { overhead: 7 * MIB })),
  memory: () =>
    Promise.resolve({ kind: "own", free: 64 * MIB, total: 96 * MIB, weights: "resident" }),
  doctor: () => Promise.resolve([{ what: "beads", ok: true, found: "all of them" }]),
};
