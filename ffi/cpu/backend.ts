import { availableParallelism } from "node:os";
import type { Backend, DType } from "../../core/backend.ts";
import { invariant } from "../../core/errors.ts";
import { copyNative, memoryPool, offsetBy, viewBytes, zeroNative } from "../memory.ts";
import { adopter } from "./backend/adopt.ts";
import { allocator } from "./backend/allocator.ts";
import { attention } from "./backend/attention.ts";
import { type CpuBuffer as Own, CpuBuffer, cpuBuffer, ELEMENT_BYTES } from "./backend/buffer.ts";
import { cpuContext } from "./backend/context.ts";
import { elementwise } from "./backend/elementwise.ts";
import { layerNorm } from "./backend/layer-norm.ts";
import { losses } from "./backend/losses.ts";
import { matrix } from "./backend/matrix.ts";
import { multiHead } from "./backend/multi-head.ts";
import { optimizer } from "./backend/optimizer.ts";
import { rowMoves } from "./backend/rows.ts";
import { vocabularyLoss } from "./backend/vocabulary-loss.ts";
import { kernelLibrary } from "./build.ts";
import { openDnnl } from "./dnnl.ts";
import { openOpenMp } from "./openmp.ts";

export interface CpuOptions {
  /** Default: one a core. Set for the whole process, as OpenMP has it. */
  readonly threads?: number;
  /** Kernels to use instead of the ones that set-up compiled: a path, and the OpenMP runtime that they need. */
  readonly kernels?: { readonly path: string; readonly openmp: string | undefined };
}

type Memory = Omit<
  Backend,
  "name" | "activation" | "master" | keyof ReturnType<typeof kernelEntries>
>;

/**
 * f32 on the CPU: matrix products by oneDNN, all else by own kernels in C, which are compiled now where set-up has not.
 * Calls return when the work is done. The same thread count gives the same bits.
 *
 * Throws E_LIBRARY or E_MACHINE with what to install.
 */
export async function createCpuBackend(options: CpuOptions = {}): Promise<Backend> {
  const { path, openmp } = options.kernels ?? (await kernelLibrary());
  openOpenMp(openmp).setThreads(options.threads ?? availableParallelism());
  const pool = memoryPool();
  return {
    name: "cpu",
    activation: "f32",
    master: "f32",
    ...memoryEntries(path, pool),
    ...kernelEntries(path, pool),
  };
}

function kernelEntries(library: string, pool: ReturnType<typeof memoryPool>) {
  const context = cpuContext(library, openDnnl(), pool);
  return {
    ...matrix(context),
    ...rowMoves(context),
    ...elementwise(context),
    ...layerNorm(context),
    ...attention(context),
    ...multiHead(context),
    ...losses(context),
    ...vocabularyLoss(context),
    ...optimizer(context),
    ...allocator(context),
  };
}

const bytesOf = (buffer: Own) => buffer.length * ELEMENT_BYTES;

/** The numbers of a buffer, where they lie. */
function numbers(buffer: Own): Float32Array | Int32Array {
  const bytes = viewBytes(buffer.pointer, bytesOf(buffer));
  return buffer.dtype === "i32" ? new Int32Array(bytes) : new Float32Array(bytes);
}

function cpuType(dtype: DType): "f32" | "i32" {
  invariant(dtype === "f32" || dtype === "i32", `the cpu backend has no ${dtype} buffers`);
  return dtype;
}

function memoryEntries(library: string, pool: ReturnType<typeof memoryPool>): Memory {
  const adopt = adopter(library, pool);
  /** Buffers with a block of their own; views and weights in place have none. */
  const counted = new Set<Own>();
  let [live, peak] = [0, 0];

  return {
    alloc(dtype, length) {
      const pointer = pool.alloc(length * ELEMENT_BYTES);
      const buffer = new CpuBuffer(cpuType(dtype), length, pointer, { writable: true });
      counted.add(buffer);
      live += bytesOf(buffer);
      peak = Math.max(peak, live);
      return buffer;
    },
    free(buffer) {
      const own = cpuBuffer(buffer);
      if (!counted.delete(own)) return;
      own.freed = true;
      live -= bytesOf(own);
      pool.free(own.pointer);
    },
    view(buffer, offset, length) {
      const whole = cpuBuffer(buffer);
      invariant(offset >= 0 && offset + length <= whole.length, "a view lies within its buffer");
      const pointer = offsetBy(whole.pointer, offset * ELEMENT_BYTES);
      return new CpuBuffer(whole.dtype, length, pointer, whole);
    },
    zero(buffer) {
      const own = writable(cpuBuffer(buffer));
      zeroNative(own.pointer, bytesOf(own));
    },
    copy(to, from) {
      const [target, source] = [writable(cpuBuffer(to)), cpuBuffer(from)];
      invariant(target.dtype === source.dtype, "a copy keeps the type");
      invariant(target.length >= source.length, "a copy fits its target");
      copyNative(target.pointer, source.pointer, bytesOf(source));
    },
    upload(to, from) {
      numbers(writable(cpuBuffer(to))).set(from);
    },
    download: (from) => numbers(cpuBuffer(from)).slice(),
    adopt,
    memory: () => ({ live, peak }),
  };
}

function writable(buffer: Own): Own {
  invariant(buffer.writable, "a checkpoint's weights are read-only");
  return buffer;
}
