import { errors } from "../../core/errors.ts";
import { ABI } from "./abi.ts";
import type { CudaContext } from "./context.ts";
import type { Cublas } from "./cublas.ts";
import type { CublasLt } from "./cublaslt.ts";
import { hintFor } from "./driver-status.ts";
import type { Launcher } from "./launcher.ts";

/** How a kernel is started. */
export interface Launch {
  /** Threads of a block. */
  readonly threads: number;
  /** Bytes of dynamic shared memory. */
  readonly shared: number;
}

/**
 * Stands between a backend and the device: `queue` starts the kernel or product of this name. A
 * product has no `launch`.
 */
export type Observe = (name: string, queue: () => void, launch?: Launch) => void;

/** Waits for each kernel and product, so that an error is thrown by the one that caused it. */
export const waitForEach =
  ({ driver, stream }: Pick<CudaContext, "driver" | "stream">): Observe =>
  (name, queue) => {
    queue();
    const call = "cuStreamSynchronize";
    const status = driver.symbols[call](stream);
    if (status === ABI.CUDA_SUCCESS) return;
    const hint = hintFor(status, call);
    throw errors.native(`${call} after ${name}`, status, driver.nameOf(status), hint);
  };

/** What queues work on the compute stream. */
interface Queues {
  readonly launcher: Launcher;
  readonly cublas: Cublas;
  readonly cublasLt: CublasLt;
}

/** The same, with each launch and product observed: kernels by name, products by sizes. */
export function observed(queues: Queues, observe: Observe | undefined): Queues {
  if (observe === undefined) return queues;
  const { launcher, cublas, cublasLt } = queues;
  return {
    launcher: {
      ...launcher,
      launch(kernel, grid, threads, shared, args) {
        const queue = () => launcher.launch(kernel, grid, threads, shared, args);
        observe(kernel, queue, { threads, shared });
      },
    },
    cublas: {
      ...cublas,
      multiply(sizes, ...rest) {
        const { m, n, k } = sizes;
        observe(`cublas ${m}x${n}x${k}`, () => cublas.multiply(sizes, ...rest));
      },
    },
    cublasLt: {
      multiply(sizes, ...rest) {
        const { m, n, k } = sizes;
        let isQueued = false;
        observe(`cublasLt ${m}x${n}x${k}`, () => {
          isQueued = cublasLt.multiply(sizes, ...rest);
        });
        return isQueued;
      },
    },
  };
}
