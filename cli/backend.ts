import type { Backend } from "../core/backend.ts";
import { errors } from "../core/errors.ts";

export interface BackendWishes {
  /** auto, cpu, cuda, cuda:N or reference. */
  readonly device: string;
  readonly dtype: "f32" | "bf16";
  /** null: one thread a core. */
  readonly threads: number | null;
}

/** Throws E_FLAG for wishes that no backend of this version fulfils; loads nothing. */
export function checkBackend({ device, dtype }: BackendWishes): void {
  if (device.startsWith("cuda")) {
    throw errors.flag("device", `must be auto, cpu or reference in this version, got ${device}`);
  }
  if (dtype === "bf16") throw errors.flag("dtype", "must be f32 in this version, got bf16");
}

/** Opens the backend that a device name stands for; auto takes the CPU. The native code is loaded here and nowhere else. */
export async function openBackend(wishes: BackendWishes): Promise<Backend> {
  const { device, threads } = wishes;
  checkBackend(wishes);
  if (device === "reference") {
    const { createReferenceBackend } = await import("../core/backend/reference.ts");
    return createReferenceBackend();
  }
  const { createCpuBackend } = await import("../ffi/cpu/backend.ts");
  return createCpuBackend(threads === null ? {} : { threads });
}
