import { CString, type Pointer, ptr } from "bun:ffi";
import { errors } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import type { OnOpen } from "./close-all.ts";
import { type Driver, out, outHandle, outInt } from "./driver.ts";

/** The oldest supported compute capability: earlier ones have neither cp.async nor bf16 products. */
const OLDEST_CAPABILITY = 80;

/** What a device is. */
export interface DeviceFacts {
  readonly ordinal: number;
  readonly name: string;
  /** Compute capability times ten: 90 for 9.0. */
  readonly capability: number;
  readonly multiprocessors: number;
  /** Shared memory that a block may have, in bytes. */
  readonly sharedLimit: number;
  readonly totalBytes: number;
}

/** One device with its primary context, current on this thread, and its compute stream. */
export interface CudaContext extends DeviceFacts {
  readonly driver: Driver;
  /** The CUdevice. */
  readonly device: number;
  readonly stream: Pointer;
}

/**
 * Opens a device by its ordinal. Throws E_MACHINE where there is none, or it is too old, E_NATIVE
 * where the driver fails.
 */
export function openContext(driver: Driver, ordinal: number, onOpen: OnOpen): CudaContext {
  const facts = usableDevice(driver, ordinal);
  const { device } = facts;
  claimThread(driver.path, ordinal, onOpen);
  driver.call("cuDevicePrimaryCtxRetain", undefined, out, device);
  onOpen(() => driver.call("cuDevicePrimaryCtxRelease_v2", undefined, device));
  driver.call("cuCtxSetCurrent", undefined, outHandle());
  driver.call("cuStreamCreate", undefined, out, ABI.CU_STREAM_NON_BLOCKING);
  const stream = outHandle();
  onOpen(() => driver.call("cuStreamDestroy_v2", undefined, stream));
  return { ...facts, driver, stream };
}

/** Devices in use on this thread by their drivers, and by how many contexts. */
const inUse = new Map<string, { readonly ordinal: number; contexts: number }>();

/**
 * Keeps a thread for one device of a driver, since calls go to the thread's current context: of two
 * devices, the first one's calls would go to the second. Throws E_MACHINE.
 */
export function claimThread(driver: string, ordinal: number, onOpen: OnOpen): void {
  const claim = inUse.get(driver) ?? { ordinal, contexts: 0 };
  if (claim.ordinal !== ordinal)
    throw errors.machine(
      `cuda:${claim.ordinal} is in use: a process can't use cuda:${ordinal} beside it`,
      "start a process for each device",
    );
  claim.contexts++;
  inUse.set(driver, claim);
  onOpen(() => {
    if (--claim.contexts === 0) inUse.delete(driver);
  });
}

/** Number of devices. Throws E_MACHINE if there are none. */
export function countDevices(driver: Driver): number {
  const status = driver.symbols.cuInit(0);
  if (status === ABI.CUDA_ERROR_NO_DEVICE) throw noDevice();
  driver.check(status, "cuInit");
  driver.call("cuDeviceGetCount", undefined, out);
  if (outInt() === 0) throw noDevice();
  return outInt();
}

/** Reads what a device is. Throws E_MACHINE where there is none of this ordinal. */
export function inspectDevice(driver: Driver, ordinal: number): DeviceFacts & { device: number } {
  const count = countDevices(driver);
  if (ordinal >= count)
    throw errors.machine(
      `there is no CUDA device ${ordinal}: the driver has ${count}`,
      `choose one of cuda:0 to cuda:${count - 1}; CUDA_VISIBLE_DEVICES may hide others`,
    );
  driver.call("cuDeviceGet", undefined, out, ordinal);
  const device = outInt();
  const name = new Uint8Array(new ArrayBuffer(256));
  driver.call("cuDeviceGetName", undefined, name, name.length - 1, device);
  driver.call("cuDeviceTotalMem_v2", undefined, out, device);
  const totalBytes = Number(out[0]);
  const major = attribute(driver, device, "COMPUTE_CAPABILITY_MAJOR");
  const minor = attribute(driver, device, "COMPUTE_CAPABILITY_MINOR");
  return {
    ordinal,
    device,
    name: new CString(ptr(name)),
    capability: 10 * major + minor,
    multiprocessors: attribute(driver, device, "MULTIPROCESSOR_COUNT"),
    sharedLimit: attribute(driver, device, "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"),
    totalBytes,
  };
}

/** Reads what a device is. Throws E_MACHINE where there is none, or it can't run the kernels. */
export function usableDevice(driver: Driver, ordinal: number) {
  const facts = inspectDevice(driver, ordinal);
  if (facts.capability < OLDEST_CAPABILITY) throw tooOld(facts);
  if (attribute(driver, facts.device, "VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED") === 0)
    throw errors.machine(
      `${facts.name} has no virtual memory management`,
      "update NVIDIA's driver, or run with --device cpu",
    );
  return facts;
}

type Attribute =
  | "MULTIPROCESSOR_COUNT"
  | "COMPUTE_CAPABILITY_MAJOR"
  | "COMPUTE_CAPABILITY_MINOR"
  | "MAX_SHARED_MEMORY_PER_BLOCK_OPTIN"
  | "VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED";

function attribute(driver: Driver, device: number, name: Attribute): number {
  const code = ABI[`CU_DEVICE_ATTRIBUTE_${name}`];
  driver.call("cuDeviceGetAttribute", name, out, code, device);
  return outInt();
}

const noDevice = () =>
  errors.machine(
    "NVIDIA's driver finds no device",
    "nvidia-smi lists them; CUDA_VISIBLE_DEVICES may hide them. Or run with --device cpu",
  );

/** "8.6" for 86. */
export const dotted = (capability: number) => `${Math.floor(capability / 10)}.${capability % 10}`;

const tooOld = ({ name, capability }: DeviceFacts) =>
  errors.machine(
    `${name} has compute capability ${dotted(capability)}, at least ${dotted(OLDEST_CAPABILITY)} is needed`,
    "run with --device cpu",
  );
