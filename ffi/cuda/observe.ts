import type { Cublas } from "./cublas.ts";
import type { Launcher } from "./launcher.ts";

/** Stands between a backend and the device: `queue` starts the kernel or product of this name. */
export type Observe = (name: string, queue: () => void) => void;

/** A launcher whose launches are observed, by the kernel's name. */
export const observedLauncher = (launcher: Launcher, observe: Observe): Launcher => ({
  ...launcher,
  launch(kernel, ...rest) {
    observe(kernel, () => launcher.launch(kernel, ...rest));
  },
});

/** A cuBLAS whose products are observed, by their sizes. */
export const observedCublas = (cublas: Cublas, observe: Observe): Cublas => ({
  ...cublas,
  multiply(sizes, ...rest) {
    const { m, n, k } = sizes;
    observe(`gemm ${m}x${n}x${k}`, () => cublas.multiply(sizes, ...rest));
  },
});
