import type { Backend } from "../../core/backend.ts";
import { attentionKernels } from "./backend/attention.ts";
import { columnKernels } from "./backend/columns.ts";
import { elementwiseKernels } from "./backend/elementwise.ts";
import { gatedActivationKernels } from "./backend/gated-activation.ts";
import { layerNormKernels } from "./backend/layer-norm.ts";
import { linearsKernels } from "./backend/linears.ts";
import { lossKernels } from "./backend/losses.ts";
import { lowRankKernels, openLowRank } from "./backend/low-rank.ts";
import { memoryKernels } from "./backend/memory.ts";
import { openProducts } from "./backend/products.ts";
import { rmsNormKernels } from "./backend/rms-norm.ts";
import { rotaryKernels } from "./backend/rotary.ts";
import { rowKernels } from "./backend/rows.ts";
import { decodingKernels } from "./backend/top-log-probabilities.ts";
import { trainingKernels } from "./backend/training.ts";
import { closeAll, type OnOpen } from "./close-all.ts";
import { openContext } from "./context.ts";
import { openCublas } from "./cublas.ts";
import { openCublasLt } from "./cublaslt.ts";
import { openDriver } from "./driver.ts";
import { createLauncher, type KernelImage } from "./kernels.ts";
import { type Observe, observed, waitForCopies, waitForEach } from "./observe.ts";
import { devicePool } from "./pool.ts";
import { openStaging } from "./staging.ts";
import { streamTimer } from "./timer.ts";

/** Options of the CUDA backend. */
export interface CudaOptions {
  /** The device's ordinal: n of "cuda:n". */
  readonly ordinal: number;
  /** Paths of the libraries, in the order in which they are tried. */
  readonly libraries: {
    readonly driver: readonly string[];
    readonly cublas: readonly string[];
    readonly cublasLt: readonly string[];
  };
  /** Compiled kernels for a compute capability. */
  readonly images: (capability: number) => Promise<readonly KernelImage[]>;
  readonly dtype: "f32" | "bf16";
  /** Rounds the float factors of products to TF32, with mantissas of 10 bits. Off by default. */
  readonly tf32?: boolean | undefined;
  /** Waits for each kernel, product and copy, so that an error names the one that caused it. */
  readonly debugSync?: boolean | undefined;
  /** Most floats of scratch of a call of disentangled attention's backward; default 2^24. */
  readonly attentionScratch?: number;
  /** Called around each launch and product, which it must queue: for a profile. Not with debugSync. */
  readonly observe?: Observe;
}

/** A backend that holds a device. */
export interface CudaBackend extends Backend {
  /** Gives the device's memory back; no entry may be called after it. */
  close(): void;
}

/**
 * Creates the CUDA backend: matrix products by cuBLASLt or cuBLAS, everything else by own kernels,
 * on one stream. Calls return before the work is done; only downloads wait.
 *
 * Throws E_LIBRARY or E_MACHINE with what to install.
 */
export async function createCudaBackend(options: CudaOptions): Promise<CudaBackend> {
  const held: (() => void)[] = [];
  const close = () => closeAll(held.splice(0));
  try {
    const backend = await openBackend(options, (step) => void held.unshift(step));
    return { ...backend, close };
  } catch (error) {
    try {
      close();
    } catch {
      // the first error counts
    }
    throw error;
  }
}

async function openBackend(options: CudaOptions, onOpen: OnOpen): Promise<Backend> {
  const driver = openDriver(options.libraries.driver);
  const { tf32 = false, libraries, debugSync = false } = options;
  const opened = openContext(driver, options.ordinal, onOpen);
  const context = debugSync ? waitForCopies(opened) : opened;
  const images = await options.images(context.capability);
  const pool = devicePool(context);
  onOpen(() => pool.close());
  const staging = openStaging(context);
  onOpen(() => staging.close());
  const timer = streamTimer(context);
  onOpen(() => timer.close());
  const observe = debugSync ? waitForEach(context) : options.observe;
  const cublas = openCublas(context, libraries.cublas, pool, onOpen, tf32);
  const { workspace } = cublas;
  const cublasLt = openCublasLt(context, libraries.cublasLt, workspace, onOpen, tf32);
  const { launcher, ...multipliers } = observed(
    {
      launcher: createLauncher(context, images, { pool, staging }, onOpen),
      cublas,
      cublasLt,
    },
    observe,
  );
  const products = openProducts(context, multipliers, launcher);
  const lowRank = openLowRank(launcher);
  onOpen(() => staging.wait());
  return {
    name: "cuda",
    activation: options.dtype,
    master: "f32",
    details: {
      device: context.name,
      capability: context.capability,
      cublas: cublas.version,
      ...(tf32 && { float_products: "tf32" }),
    },
    timer,
    ...memoryKernels(context, pool, staging),
    gemm: (a, b, c, shape) => products.multiply(a, b, c, shape),
    ...linearsKernels(lowRank, products),
    ...lowRankKernels(lowRank),
    ...columnKernels(launcher),
    ...elementwiseKernels(launcher),
    ...gatedActivationKernels(launcher),
    ...layerNormKernels(launcher),
    ...lossKernels(launcher),
    ...rmsNormKernels(launcher),
    ...rotaryKernels(launcher),
    ...rowKernels(launcher),
    ...attentionKernels(launcher, options.dtype, options.attentionScratch),
    ...decodingKernels(launcher),
    ...trainingKernels(launcher),
  };
}
