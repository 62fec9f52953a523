import { type Pointer, ptr } from "bun:ffi";
import { errors, invariant } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import { CudaBuffer } from "./buffer.ts";
import type { OnOpen } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { out, outHandle } from "./driver.ts";
import type { Arg, Grid, Launcher } from "./launcher.ts";
import type { DevicePool } from "./pool.ts";
import type { Staging } from "./staging.ts";

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
  const tables = growingBuffer(pool);
  return {
    multiprocessors,
    scratch: (floats) => scratch(floats),
    table(values) {
      const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      const buffer = tables(Math.ceil(bytes.length / 4));
      staging.upload(buffer.pointer, bytes.length, (part, first) =>
        part.set(bytes.subarray(first, first + part.length)),
      );
      return buffer;
    },
    launch(name, grid, block, sharedBytes, args) {
      const [x, y = 1, z = 1] = typeof grid === "number" ? [grid] : grid;
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

  function wide(at: number, value: number) {
    words[at] = value; // modulo 2^32
    words[at + 1] = Math.floor(value / 2 ** 32);
  }

  return (args) => {
    invariant(args.length <= MAX_ARGUMENTS, "a kernel has at most 48 arguments");
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      const at = 2 * i;
      if (arg === undefined) wide(at, 0);
      else if (arg instanceof CudaBuffer) wide(at, arg.pointer);
      else if (arg.type === "f32") floats[at] = arg.value;
      else if (arg.type === "i64") wide(at, arg.value);
      else if (arg.type === "i32") ints[at] = arg.value;
      else words[at] = arg.value;
    }
    return addresses; // itself: its address alone would not keep it alive
  };
}

/** One buffer of floats, reallocated without its contents to grow. */
function growingBuffer(pool: DevicePool): (floats: number) => CudaBuffer {
  let buffer: CudaBuffer | undefined;
  return (floats) => {
    if (buffer === undefined || buffer.length < floats) {
      if (buffer !== undefined) pool.free(buffer.pointer);
      buffer = new CudaBuffer("f32", floats, pool.alloc(4 * floats));
    }
    return buffer;
  };
}
