import { CString, type FFIFunction, type Pointer } from "bun:ffi";
import { pointerAt } from "../libc.ts";
import { type NativeLibrary, openLibrary } from "../load.ts";
import { ABI } from "./abi.ts";
import { driverError } from "./driver-status.ts";

const [P, I, U, Z] = ["ptr", "i32", "u32", "u64"] as const;

/**
 * Functions of libcuda, by the names of their symbols. A device address is passed as u64: a number
 * below 2^53.
 */
export const DRIVER_SYMBOLS = {
  cuInit: { args: [U], returns: I },
  cuDriverGetVersion: { args: [P], returns: I },
  cuDeviceGetCount: { args: [P], returns: I },
  cuDeviceGet: { args: [P, I], returns: I },
  cuDeviceGetName: { args: [P, I, I], returns: I },
  cuDeviceTotalMem_v2: { args: [P, I], returns: I },
  cuDeviceGetAttribute: { args: [P, I, I], returns: I },
  cuDevicePrimaryCtxRetain: { args: [P, I], returns: I },
  cuDevicePrimaryCtxRelease_v2: { args: [I], returns: I },
  cuCtxSetCurrent: { args: [P], returns: I },
  cuMemGetInfo_v2: { args: [P, P], returns: I },
  cuMemGetAllocationGranularity: { args: [P, P, I], returns: I },
  cuMemAddressReserve: { args: [P, Z, Z, Z, Z], returns: I },
  cuMemAddressFree: { args: [Z, Z], returns: I },
  cuMemCreate: { args: [P, Z, P, Z], returns: I },
  cuMemRelease: { args: [Z], returns: I },
  cuMemMap: { args: [Z, Z, Z, Z, Z], returns: I },
  cuMemUnmap: { args: [Z, Z], returns: I },
  cuMemSetAccess: { args: [Z, Z, P, Z], returns: I },
  cuMemHostAlloc: { args: [P, Z, U], returns: I },
  cuMemFreeHost: { args: [P], returns: I },
  cuMemcpyHtoDAsync_v2: { args: [Z, P, Z, P], returns: I },
  cuMemcpyDtoHAsync_v2: { args: [P, Z, Z, P], returns: I },
  cuMemcpyDtoDAsync_v2: { args: [Z, Z, Z, P], returns: I },
  cuMemsetD8Async: { args: [Z, U, Z, P], returns: I },
  cuStreamCreate: { args: [P, U], returns: I },
  cuStreamDestroy_v2: { args: [P], returns: I },
  cuStreamSynchronize: { args: [P], returns: I },
  cuEventCreate: { args: [P, U], returns: I },
  cuEventDestroy_v2: { args: [P], returns: I },
  cuEventRecord: { args: [P, P], returns: I },
  cuEventSynchronize: { args: [P], returns: I },
  cuEventElapsedTime: { args: [P, P, P], returns: I },
  cuModuleLoadData: { args: [P, P], returns: I },
  cuModuleUnload: { args: [P], returns: I },
  cuModuleGetFunction: { args: [P, P, "cstring"], returns: I },
  cuFuncSetAttribute: { args: [P, I, I], returns: I },
  cuLaunchKernel: { args: [P, U, U, U, U, U, U, U, P, P, P], returns: I },
  cuGetErrorName: { args: [I, P], returns: I },
} as const satisfies Record<string, FFIFunction>;

type DriverLibrary = NativeLibrary<typeof DRIVER_SYMBOLS>;
type Symbols = DriverLibrary["symbols"];
type Name = keyof typeof DRIVER_SYMBOLS;
type Arguments<N extends Name> = Parameters<Symbols[N]>;

/** An open libcuda. */
export interface Driver {
  readonly path: string;
  readonly symbols: Symbols;
  /**
   * Calls a function; `subject` says what for: a kernel's name, bytes. Throws E_NATIVE with
   * function, code and subject.
   */
  call<N extends Name>(name: N, subject: string | undefined, ...args: Arguments<N>): void;
  /** Throws E_NATIVE for a status that is not CUDA_SUCCESS. */
  check(status: number, name: Name, subject?: string): void;
  /** The name of a status in CUDA's headers. */
  nameOf(status: number): string;
}

/** Receives results of C functions. Calls take the array itself: it stays where it is. */
export const out = new BigUint64Array(new ArrayBuffer(16));
const outInts = new Int32Array(out.buffer);

/** The pointer or size that a function has left in `out`. */
export const outAddress = () => Number(out[0]);
/** The handle that a function has left in `out`. */
export const outHandle = (): Pointer => pointerAt(Number(out[0]));
/** The int that a function has left in `out`. */
export const outInt = () => outInts[0]!;

const HINT =
  "install NVIDIA's driver (version 525 or newer), or run with --device cpu; ADALORA_CUDA_DRIVER names another libcuda.so.1";

/**
 * Opens the first of `candidates` that loads and is no stub, with which the toolkit links programs.
 * Throws E_LIBRARY with each path and its error.
 */
export function openDriver(candidates: readonly string[]): Driver {
  const library = openLibrary("NVIDIA's driver", candidates, DRIVER_SYMBOLS, HINT, stubReason);
  return { ...library, ...checks(library.symbols) };
}

function stubReason({ cuGetErrorName }: Symbols): string | undefined {
  const isStub = cuGetErrorName(ABI.CUDA_SUCCESS, out) === ABI.CUDA_ERROR_STUB_LIBRARY;
  return isStub ? "the toolkit's stub, not NVIDIA's driver" : undefined;
}

function checks(symbols: Symbols): Pick<Driver, "call" | "check" | "nameOf"> {
  const named = { nameOf: (status: number) => nameOf(symbols, status) };
  function check(status: number, call: Name, subject?: string) {
    if (status !== ABI.CUDA_SUCCESS) throw driverError(named, status, call, subject);
  }
  return {
    ...named,
    check,
    call(call, subject, ...args) {
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the arguments are those of this very function
      const fn = symbols[call] as (...args: readonly unknown[]) => number;
      check(fn(...args), call, subject);
    },
  };
}

function nameOf(symbols: Symbols, status: number): string {
  out[0] = 0n;
  symbols.cuGetErrorName(status, out);
  return out[0] === 0n ? "unknown error" : new CString(outHandle());
}
