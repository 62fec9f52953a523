import { type Pointer, ptr } from "bun:ffi";
import { errors, invariant } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import { CudaBuffer } from "./buffer.ts";
import type { OnOpen } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { out, outHandle } from "./driver.ts";
import { type Arg, FloatArg, type Grid, type Launcher } from "./launcher.ts";
import type { DevicePool } from "./pool.ts";
import type { Staging } from "./staging.ts";
import { tableCache } from "./table-cache.ts";

/** A compiled family of kernels: a CUBIN. */
export interface KernelImage {
  readonly family: string;
  readonly image: Uint8Array;
}

/** Dynamic shared memory that a kernel may have without asking for more. */
const DEFAULT_SHARED = 48 * 1024;

const MAX_ARGUMENTS = 48;

/** Options of a launcher. */
export interface LauncherOptions {
  /** Waits after each launch, so that an error names the kernel that caused it. */
  readonly debugSync?: boolean;
}

interface Kernel {
  readonly handle: Pointer;
  sharedLimit: number;
}

/** Loads compiled kernels onto the device. Throws E_NATIVE with the family that does not load. */
export function createLauncher(
  context: CudaContext,
  images: readonly KernelImage[],
  { pool, staging }: { pool: DevicePool; staging: Staging },
  onOpen: OnOpen,
  { debugSync = false }: LauncherOptions = {},
): Launcher {
  const { driver, stream, multiprocessors } = context;
  const { cuLaunchKernel } = driver.symbols;
  const find = kernelFinder(context, images, onOpen);
  const pack = argumentPacker();
  const scratch = growingBuffer(pool);
  const table = tableCache(pool, staging);
  return {
    multiprocessors,
    scratch,
    table,
    launch(name, grid, block, sharedBytes, args) {
      const isLine = typeof grid === "number";
      const x = isLine ? grid : grid[0];
      const y = isLine ? 1 : grid[1];
      const z = isLine ? 1 : (grid[2] ?? 1);
      if (x === 0 || y === 0 || z === 0) return;
      const kernel = find(name);
      if (sharedBytes > kernel.sharedLimit) allowShared(context, name, kernel, sharedBytes);
      const parameters = pack(args);
      const status = cuLaunchKernel(
        kernel.handle, x, y, z, block, 1, 1, sharedBytes, stream, parameters, null,
      ); // prettier-ignore
      if (status !== ABI.CUDA_SUCCESS)
        driver.check(status, "cuLaunchKernel", shownLaunch(name, grid, block, sharedBytes));
      if (debugSync) driver.call("cuStreamSynchronize", `after ${name}`, stream);
    },
  };
}

const shownLaunch = (name: string, grid: Grid, block: number, sharedBytes: number) =>
  `${name}, grid ${String(grid)}, block ${block}, ${sharedBytes} bytes shared`;

function allowShared(context: CudaContext, name: string, kernel: Kernel, bytes: number) {
  const { driver, sharedLimit } = context;
  invariant(
    bytes <= sharedLimit,
    () => `${name} needs ${bytes} bytes of shared memory, the device has ${sharedLimit} a block`,
  );
  const attribute = ABI.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
  driver.call("cuFuncSetAttribute", name, kernel.handle, attribute, bytes);
  kernel.sharedLimit = bytes;
}

/** Finds a kernel in the modules by name, and remembers it. */
function kernelFinder({ driver }: CudaContext, images: readonly KernelImage[], onOpen: OnOpen) {
  const modules = images.map(({ family, image }) => {
    driver.call("cuModuleLoadData", family, out, image);
    const module = outHandle();
    onOpen(() => driver.call("cuModuleUnload", family, module));
    return module;
  });
  const known = new Map<string, Kernel>();
  return (name: string): Kernel => {
    const kept = known.get(name);
    if (kept !== undefined) return kept;
    for (const module of modules) {
      const status = driver.symbols.cuModuleGetFunction(out, module, name);
      if (status === ABI.CUDA_ERROR_NOT_FOUND) continue;
      driver.check(status, "cuModuleGetFunction", name);
      const kernel = { handle: outHandle(), sharedLimit: DEFAULT_SHARED };
      known.set(name, kernel);
      return kernel;
    }
    throw errors.native(
      "cuModuleGetFunction",
      ABI.CUDA_ERROR_NOT_FOUND,
      `no module has the kernel ${name}`,
    );
  };
}

/**
 * Writes arguments where cuLaunchKernel reads them: 8 bytes each, and a list of their addresses.
 * The driver copies them during the call.
 */
function argumentPacker(): (args: readonly Arg[]) => BigUint64Array {
  const words = new Uint32Array(new ArrayBuffer(8 * MAX_ARGUMENTS));
  const ints = new Int32Array(words.buffer);
  const floats = new Float32Array(words.buffer);
  const addresses = new BigUint64Array(new ArrayBuffer(8 * MAX_ARGUMENTS));
  const base = ptr(words);
  for (let i = 0; i < MAX_ARGUMENTS; i++) addresses[i] = BigInt(base + 8 * i);

  /** Writes a whole number as 64 bits: integers of 32 are its lower half. */
  function wide(at: number, value: number) {
    if ((value | 0) === value) {
      ints[at] = value;
      ints[at + 1] = value >> 31;
      return;
    }
    const high = Math.floor(value / 2 ** 32);
    words[at] = value - high * 2 ** 32;
    words[at + 1] = high;
  }

  return (args) => {
    invariant(args.length <= MAX_ARGUMENTS, "a kernel has at most 48 arguments");
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      const at = 2 * i;
      if (typeof arg === "number") wide(at, arg);
      else if (arg === undefined) wide(at, 0);
      else if (arg instanceof FloatArg) floats[at] = arg.value;
      else wide(at, arg.pointer);
    }
    return addresses; // itself: its address alone would not keep it alive
  };
}

/** One buffer of floats, reallocated without its contents to grow. */
function growingBuffer(pool: DevicePool): (floats: number) => CudaBuffer {
  let buffer: CudaBuffer | undefined;
  return (floats) => {
    if (buffer === undefined || buffer.length < floats) {
      if (buffer !== undefined) pool.free(buffer.pointer, 4 * buffer.length);
      buffer = new CudaBuffer("f32", floats, pool.alloc(4 * floats));
    }
    return buffer;
  };
}
