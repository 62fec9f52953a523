import type { Cublas } from "./cublas.ts";
import type { CublasLt } from "./cublaslt.ts";
import type { Launcher } from "./launcher.ts";

/** Stands between a backend and the device: `queue` starts the kernel or product of this name. */
export type Observe = (name: string, queue: () => void) => void;

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
      launch(kernel, ...rest) {
        observe(kernel, () => launcher.launch(kernel, ...rest));
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
