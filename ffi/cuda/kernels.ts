import { type Pointer, ptr } from "bun:ffi";
import { errors, invariant } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import { CudaBuffer } from "./buffer.ts";
import type { OnOpen } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { out, outHandle } from "./driver.ts";
import type { Arg, Grid, Launcher, Value } from "./launcher.ts";
import type { DevicePool } from "./pool.ts";
import type { Staging } from "./staging.ts";

/** A compiled family of kernels: a CUBIN. */
export interface KernelImage {
  readonly family: string;
  readonly image: Uint8Array;
}

/** Dynamic shared memory that a kernel may have without asking for more. */
const DEFAULT_SHARED = 48 * 1024;

/** Counters of a first allocation: 16 KiB. */
const FEWEST_COUNTERS = 4096;

/** CUDA's limit on the bytes of all arguments, and ours on their number. */
const [MAX_ARGUMENT_BYTES, MAX_ARGUMENTS] = [4096, 48];

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
  const counters = growingBuffer(pool, ({ pointer, length }) =>
    driver.call("cuMemsetD8Async", undefined, pointer, 0, 4 * length, stream),
  );
  return {
    multiprocessors,
    scratch,
    counters: (count) => {
      const { pointer } = counters(Math.max(count, FEWEST_COUNTERS));
      return new CudaBuffer("i32", count, pointer);
    },
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
 * Writes arguments where cuLaunchKernel reads them: each from 8 bytes of its own on, and a list of
 * their addresses. The driver copies them during the call.
 */
function argumentPacker(): (args: readonly Arg[]) => Uint32Array {
  const words = new Uint32Array(new ArrayBuffer(MAX_ARGUMENT_BYTES));
  const ints = new Int32Array(words.buffer);
  const floats = new Float32Array(words.buffer);
  const addresses = new Uint32Array(new ArrayBuffer(8 * MAX_ARGUMENTS));
  const base = ptr(words);

  function wide(to: Uint32Array, at: number, value: number) {
    to[at] = value; // modulo 2^32
    to[at + 1] = Math.floor(value / 2 ** 32);
  }

  /** Writes a value at a word; returns the words that it takes. */
  function write(value: Value, at: number): number {
    if (value === undefined) return (wide(words, at, 0), 2);
    if (value instanceof CudaBuffer) return (wide(words, at, value.pointer), 2);
    if (value.type === "i64") return (wide(words, at, value.value), 2);
    if (value.type === "f32") floats[at] = value.value;
    else if (value.type === "i32") ints[at] = value.value;
    else words[at] = value.value;
    return 1;
  }

  return (args) => {
    invariant(args.length <= MAX_ARGUMENTS, "a kernel has at most 48 arguments");
    let at = 0;
    for (let i = 0; i < args.length; i++) {
      wide(addresses, 2 * i, base + 4 * at);
      const arg = args[i];
      if (isGroup(arg)) for (const value of arg) at += write(value, at);
      else at += write(arg, at);
      at += at % 2;
    }
    invariant(4 * at <= MAX_ARGUMENT_BYTES, "a kernel's arguments take at most 4096 bytes");
    return addresses; // itself: its address alone would not keep it alive
  };
}

const isGroup = (arg: Arg): arg is readonly Value[] => Array.isArray(arg);

/** One buffer of floats, reallocated without its contents to grow. */
function growingBuffer(
  pool: DevicePool,
  onGrown: (buffer: CudaBuffer) => void = () => {},
): (floats: number) => CudaBuffer {
  let buffer: CudaBuffer | undefined;
  return (floats) => {
    if (buffer === undefined || buffer.length < floats) {
      if (buffer !== undefined) pool.free(buffer.pointer);
      buffer = new CudaBuffer("f32", floats, pool.alloc(4 * floats));
      onGrown(buffer);
    }
    return buffer;
  };
}
