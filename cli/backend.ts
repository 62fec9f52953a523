import type { Backend } from "../core/backend.ts";
import { errors } from "../core/errors.ts";
import { bf16Refusal } from "../ffi/cpu/isa.ts";

type Dtype = "auto" | "f32" | "bf16";

export interface DeviceOptions {
  /** auto, cpu, cuda, cuda:N or reference. */
  readonly device: string;
  readonly dtype: Dtype;
  /** null: one thread a core. */
  readonly threads: number | null;
}

/** What auto stands for on this machine: bf16 where it has the instructions. */
export function resolveDtype({
  device,
  dtype,
}: Pick<DeviceOptions, "device" | "dtype">): "f32" | "bf16" {
  if (dtype !== "auto") return dtype;
  return device !== "reference" && bf16Refusal() === undefined ? "bf16" : "f32";
}

/** Throws E_FLAG for wishes that no backend of this version, or none on this machine, fulfils; loads nothing. */
export function checkBackend({ device, dtype }: DeviceOptions): void {
  if (device.startsWith("cuda")) {
    throw errors.flag("device", `must be auto, cpu or reference in this version, got ${device}`);
  }
  if (dtype !== "bf16") return;
  if (device === "reference")
    throw errors.flag("dtype", "must be f32 with --device reference, got bf16");
  const refusal = bf16Refusal();
  if (refusal !== undefined) throw errors.flag("dtype", `must be f32: ${refusal}`);
}

/** Opens the backend that a device name stands for; auto takes the CPU. The native code is loaded here and nowhere else. */
export async function openBackend(options: DeviceOptions): Promise<Backend> {
  const { device, threads } = options;
  checkBackend(options);
  if (device === "reference") {
    const { createReferenceBackend } = await import("../core/backend/reference.ts");
    return createReferenceBackend();
  }
  const { createCpuBackend } = await import("../ffi/cpu/backend.ts");
  return createCpuBackend({
    dtype: resolveDtype(options),
    ...(threads === null ? {} : { threads }),
  });
}
