import { basename } from "node:path";
import type { Backend, DType } from "../../core/backend.ts";
import { composedLinears } from "../../core/backend/composed-linears.ts";
import { errors, invariant } from "../../core/errors.ts";
import { copyNative, offsetBy, viewBytes, zeroNative } from "../memory.ts";
import { memoryPool } from "../pool.ts";
import { adopter, converter } from "./backend/adopt.ts";
import { allocator } from "./backend/allocator.ts";
import { attention } from "./backend/attention.ts";
import {
  type CpuBuffer as Own,
  CpuBuffer,
  cpuBuffer,
  type CpuType,
  elementBytes,
} from "./backend/buffer.ts";
import { type CpuContext, cpuContext } from "./backend/context.ts";
import { chosenRows } from "./backend/chosen-rows.ts";
import { elementwise } from "./backend/elementwise.ts";
import { gatedActivation } from "./backend/gated-activation.ts";
import { layerNorm } from "./backend/layer-norm.ts";
import { losses } from "./backend/losses.ts";
import { lowRank } from "./backend/low-rank.ts";
import { matrix } from "./backend/matrix.ts";
import { multiHead } from "./backend/multi-head.ts";
import { optimizer } from "./backend/optimizer.ts";
import { products } from "./backend/products.ts";
import { rmsNorm } from "./backend/rms-norm.ts";
import { rotary } from "./backend/rotary.ts";
import { rowMoves } from "./backend/rows.ts";
import { topLogProbabilities } from "./backend/top-log-probabilities.ts";
import { vocabularyLoss } from "./backend/vocabulary-loss.ts";
import { kernelLibrary } from "./build.ts";
import { reportBusErrors } from "./bus-errors.ts";
import { openDnnl } from "./dnnl.ts";
import { bf16Refusal } from "./isa.ts";
import { openOpenMp } from "./openmp.ts";
import { startTeam } from "./team.ts";

/** Options of the CPU backend. */
export interface CpuOptions {
  /** Default: one per core. Process-wide, as in OpenMP. */
  readonly threads?: number;
  /**
   * Of activations and frozen matrices; default f32. bf16 needs a CPU with bf16 products: see
   * bf16Refusal.
   */
  readonly dtype?: "f32" | "bf16";
  /** Kernels to use instead of set-up's: their path, and the OpenMP runtime they need. */
  readonly kernels?: { readonly path: string; readonly openmp: string | undefined };
}

type Memory = Omit<
  Backend,
  "name" | "activation" | "master" | keyof ReturnType<typeof kernelEntries>
>;

/**
 * Creates the CPU backend, in f32, or in bf16 for activations and frozen matrices: matrix products
 * by oneDNN, all else by C kernels, compiled now unless set-up has. Calls return when the work is
 * done. The same thread count gives the same bits.
 *
 * Throws E_LIBRARY or E_MACHINE with what to install, E_MACHINE where OpenMP grants fewer threads,
 * and E_FLAG for too many of them.
 */
export async function createCpuBackend(options: CpuOptions = {}): Promise<Backend> {
  const { path, openmp } = options.kernels ?? (await kernelLibrary());
  const runtime = openOpenMp(openmp); // before the kernels, which would load it with other settings
  reportBusErrors(path);
  const activation = options.dtype ?? "f32";
  const refusal = activation === "bf16" ? bf16Refusal() : undefined;
  if (refusal !== undefined) throw refused(refusal);
  const threads = startTeam(runtime, path, options.threads);
  const pool = memoryPool();
  const dnnl = openDnnl();
  const context = cpuContext(path, dnnl, pool);
  if (activation === "bf16" && !context.matmul().hasJit("bf16"))
    throw refused(`oneDNN ${dnnl.version} has no bf16 products for this CPU`);
  return {
    name: "cpu",
    activation,
    master: "f32",
    details: { threads, kernels: levelOf(path), onednn: dnnl.version },
    ...memoryEntries(path, pool),
    ...kernelEntries(context, activation),
  };
}

/** The instruction-set level in the name of compiled kernels: "kernels-avx512-….so". */
const levelOf = (kernels: string) => /kernels-(\w+)-/.exec(basename(kernels))?.[1] ?? "own";

const refused = (reason: string) =>
  errors.machine(`bf16 is not supported on this machine: ${reason}`, "run it with --dtype f32");

function kernelEntries(context: CpuContext, activation: CpuType) {
  return {
    ...matrix(context),
    ...lowRank(context),
    ...products(context),
    ...composedLinears,
    ...rowMoves(context),
    ...elementwise(context),
    ...layerNorm(context),
    ...rmsNorm(context),
    ...gatedActivation(context),
    ...rotary(context),
    ...attention(context, activation),
    ...multiHead(context),
    ...losses(context),
    ...vocabularyLoss(context),
    ...chosenRows(context),
    ...topLogProbabilities(context),
    ...optimizer(context),
    ...allocator(context),
  };
}

const bytesOf = (buffer: Own) => buffer.length * elementBytes[buffer.dtype];

/** Views a buffer of 4-byte elements without a copy. */
function hostView(buffer: Own): Float32Array | Int32Array {
  const bytes = viewBytes(buffer.pointer, bytesOf(buffer));
  return buffer.dtype === "i32" ? new Int32Array(bytes) : new Float32Array(bytes);
}

function cpuType(dtype: DType): CpuType {
  invariant(dtype !== "f64", () => `the cpu backend has no ${dtype} buffers`);
  return dtype;
}

function memoryEntries(library: string, pool: ReturnType<typeof memoryPool>): Memory {
  const adopt = adopter(library, pool);
  /** Buffers that own a block; views and weights in place do not. */
  const counted = new Set<Own>();
  let [live, peak] = [0, 0];

  return {
    alloc(dtype, length) {
      const type = cpuType(dtype);
      const pointer = pool.alloc(length * elementBytes[type]);
      const buffer = new CpuBuffer(type, length, pointer, { writable: true });
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
      const pointer = offsetBy(whole.pointer, offset * elementBytes[whole.dtype]);
      const { writable: changes, keeps } = whole;
      return new CpuBuffer(whole.dtype, length, pointer, { writable: changes, keeps });
    },
    ...transfers(library, pool),
    adopt,
    memory: () => ({ live, peak }),
  };
}

/** What writes to buffers and reads them for the host; bf16 is converted to and from floats. */
function transfers(
  library: string,
  pool: ReturnType<typeof memoryPool>,
): Pick<Memory, "zero" | "copy" | "upload" | "download"> {
  const convert = converter(library);
  return {
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
      const own = writable(cpuBuffer(to));
      if (own.dtype !== "bf16") return hostView(own).set(from);
      invariant(from.length <= own.length, "an upload fits its buffer");
      const floats = new Uint8Array(Float32Array.from(from).buffer);
      convert("F32", floats, own.pointer, from.length, "bf16");
    },
    download(from) {
      const own = cpuBuffer(from);
      if (own.dtype !== "bf16") return hostView(own).slice();
      const space = pool.alloc(own.length * elementBytes.f32);
      convert("BF16", own.pointer, space, own.length, "f32");
      const floats = new Float32Array(viewBytes(space, own.length * elementBytes.f32)).slice();
      pool.free(space);
      return floats;
    },
  };
}

function writable(buffer: Own): Own {
  invariant(buffer.writable, "a checkpoint's weights are read-only");
  return buffer;
}
