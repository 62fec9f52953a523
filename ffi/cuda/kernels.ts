import type { Pointer } from "bun:ffi";
import { errors, invariant } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import { argumentPacker, GroupedArguments } from "./arguments.ts";
import { CudaBuffer } from "./buffer.ts";
import type { OnOpen } from "./close-all.ts";
import type { CudaContext } from "./context.ts";
import { out, outHandle } from "./driver.ts";
import { growingBuffer } from "./growing-buffer.ts";
import type { Grid, Launcher } from "./launcher.ts";
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

/** Counters of a first allocation: 16 KiB. */
const FEWEST_COUNTERS = 4096;

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
): Launcher {
  const { driver, stream, multiprocessors } = context;
  const { cuLaunchKernel } = driver.symbols;
  const find = kernelFinder(context, images, onOpen);
  const pack = argumentPacker();
  const scratch = growingBuffer(pool);
  const table = tableCache(pool, staging);
  const counters = growingBuffer(pool, ({ pointer, length }) =>
    driver.call("cuMemsetD8Async", undefined, pointer, 0, 4 * length, stream),
  );
  return {
    multiprocessors,
    scratch,
    table,
    counters: (count) => {
      const { pointer } = counters(Math.max(count, FEWEST_COUNTERS));
      return new CudaBuffer("i32", count, pointer);
    },
    launch(name, grid, block, sharedBytes, args) {
      const isLine = typeof grid === "number";
      const x = isLine ? grid : grid[0];
      const y = isLine ? 1 : grid[1];
      const z = isLine ? 1 : (grid[2] ?? 1);
      if (x === 0 || y === 0 || z === 0) return;
      const kernel = find(name);
      if (sharedBytes > kernel.sharedLimit) allowShared(context, name, kernel, sharedBytes);
      const parameters = args instanceof GroupedArguments ? args.addresses : pack(args);
      const status = cuLaunchKernel(
        kernel.handle, x, y, z, block, 1, 1, sharedBytes, stream, parameters, null,
      ); // prettier-ignore
      if (status !== ABI.CUDA_SUCCESS)
        driver.check(status, "cuLaunchKernel", shownLaunch(name, grid, block, sharedBytes));
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
