import type { FFIFunction, Pointer } from "bun:ffi";
import type { Decomposer } from "../../core/decomposer.ts";
import { errors } from "../../core/errors.ts";
import { loadGlobally } from "../libc.ts";
import { openLibrary } from "../load.ts";
import { ABI, CUSOLVER_STATUSES } from "./abi.ts";
import { type OnOpen, whileOpen } from "./close-all.ts";
import { type CudaContext, openContext } from "./context.ts";
import { openCublasLibrary } from "./cublas.ts";
import { openCublasLtLibrary } from "./cublaslt-symbols.ts";
import { type Driver, out, outHandle, outInt } from "./driver.ts";
import type { SolverLibraries } from "./libraries.ts";
import { type BatchResult, type MatrixBatch, packBatch, unpackSvd } from "./matrix-batch.ts";
import { devicePool } from "./pool.ts";
import { openStaging } from "./staging.ts";

const [P, I, Z] = ["ptr", "i32", "u64"] as const;

/** Arguments that the batched call and the query of its scratch share. */
const BATCH = [P, I, I, I, Z, I, Z, Z, I, Z, I] as const;

/** Functions of libcusolver, by the names of their symbols. */
export const CUSOLVER_SYMBOLS = {
  cusolverGetVersion: { args: [P], returns: I },
  cusolverDnCreate: { args: [P], returns: I },
  cusolverDnDestroy: { args: [P], returns: I },
  cusolverDnSetStream: { args: [P, P], returns: I },
  cusolverDnCreateGesvdjInfo: { args: [P], returns: I },
  cusolverDnDestroyGesvdjInfo: { args: [P], returns: I },
  cusolverDnDgesvdjBatched_bufferSize: { args: [...BATCH, P, P, I], returns: I },
  cusolverDnDgesvdjBatched: { args: [...BATCH, Z, I, Z, P, I], returns: I },
} as const satisfies Record<string, FFIFunction>;

/** The most rows and columns that the batched call takes. */
const LIMIT = 32;

const HINT = "without it, singular values are computed on the CPU";

/** The open driver, and candidate paths of the libraries. */
export interface SolverParts extends SolverLibraries {
  readonly driver: Driver;
  readonly cublasLt: readonly string[];
  readonly cublas: readonly string[];
  /** The error's line where cuSOLVER is missing: its name, and the folders searched. */
  readonly missing: string;
}

type SolverLibrary = ReturnType<typeof openSolverLibrary>;

/**
 * Opens libcusolver without a handle. Libraries that it needs are loaded first, as the loader may not
 * know their folders. Throws E_LIBRARY with each path and its error.
 */
export function openSolverLibrary(parts: Omit<SolverParts, "driver">) {
  const { nvJitLink, cusparse, cublasLt, cublas, cusolver, missing } = parts;
  if (cusolver.length === 0) throw errors.library("cuSOLVER", [missing], HINT);
  if (nvJitLink.length > 0) loadGlobally("nvJitLink", nvJitLink, HINT);
  if (cublasLt.length > 0) openCublasLtLibrary(cublasLt);
  if (cublas.length > 0) openCublasLibrary(cublas);
  if (cusparse.length > 0) loadGlobally("cuSPARSE", cusparse, HINT);
  const library = openLibrary("cuSOLVER", cusolver, CUSOLVER_SYMBOLS, HINT);
  check(library.symbols.cusolverGetVersion(out), "cusolverGetVersion");
  const number = outInt(); // 12203 for 12.2.3
  const version = `${Math.floor(number / 1000)}.${Math.floor((number % 1000) / 100)}`;
  return { ...library, version };
}

/** cuSOLVER on a device. Each call opens what `find` returns and the device, and closes it again. */
export const cusolverDecomposer = (ordinal: number, find: () => SolverParts): Decomposer => ({
  limit: LIMIT,
  decompose: (matrices) =>
    whileOpen((onOpen) => {
      const parts = find();
      const library = openSolverLibrary(parts);
      const context = openContext(parts.driver, ordinal, onOpen);
      const batch = packBatch(matrices);
      const result = solve(library.symbols, context, batch, onOpen);
      return {
        by: `cuSOLVER ${library.version} on cuda:${ordinal}`,
        svds: matrices.map(({ rows }, k) =>
          result.info[k] === 0 ? unpackSvd(result, batch, k, rows) : undefined,
        ),
      };
    }),
});

// --- internal ---

function check(status: number, call: string) {
  if (status !== 0) throw errors.native(call, status, CUSOLVER_STATUSES[status] ?? "unknown error");
}

/** Runs the batched call; `info`, [count], is not 0 for a matrix that did not converge. */
function solve(
  symbols: SolverLibrary["symbols"],
  context: CudaContext,
  { size, count, values }: MatrixBatch,
  onOpen: OnOpen,
): BatchResult & { readonly info: Int32Array } {
  const pool = devicePool(context);
  onOpen(() => pool.close());
  const staging = openStaging(context);
  onOpen(() => staging.close());
  const { handle, options } = openHandle(symbols, context, onOpen);
  onOpen(() => staging.wait());
  const doubles = (length: number) => ({ at: pool.alloc(8 * length), bytes: 8 * length });
  const [a, u, v] = [values, values, values].map(({ length }) => doubles(length));
  const s = doubles(size * count);
  const info = { at: pool.alloc(4 * count), bytes: 4 * count };
  const mode = ABI.CUSOLVER_EIG_MODE_VECTOR;
  const batch = [handle, mode, size, size, a!.at, size, s.at, u!.at, size, v!.at, size] as const;
  check(
    symbols.cusolverDnDgesvdjBatched_bufferSize(...batch, out, options, count),
    "cusolverDnDgesvdjBatched_bufferSize",
  );
  const scratch = outInt();
  const work = doubles(scratch);
  const source = new Uint8Array(values.buffer);
  staging.upload(a!.at, a!.bytes, (part, first) =>
    part.set(source.subarray(first, first + part.length)),
  );
  check(
    symbols.cusolverDnDgesvdjBatched(...batch, work.at, scratch, info.at, options, count),
    `cusolverDnDgesvdjBatched ${count} x ${size}x${size}`,
  );
  const read = ({ at, bytes }: typeof info) => staging.download(at, bytes).buffer;
  return {
    info: new Int32Array(read(info)),
    u: new Float64Array(read(u!)),
    s: new Float64Array(read(s)),
    v: new Float64Array(read(v!)),
  };
}

/** Creates a handle and default options. A call that fails may set the handle too: it is not one. */
function openHandle(
  symbols: SolverLibrary["symbols"],
  { stream }: CudaContext,
  onOpen: OnOpen,
): { readonly handle: Pointer; readonly options: Pointer } {
  check(symbols.cusolverDnCreate(out), "cusolverDnCreate");
  const handle = outHandle();
  onOpen(() => check(symbols.cusolverDnDestroy(handle), "cusolverDnDestroy"));
  check(symbols.cusolverDnSetStream(handle, stream), "cusolverDnSetStream");
  check(symbols.cusolverDnCreateGesvdjInfo(out), "cusolverDnCreateGesvdjInfo");
  const options = outHandle();
  onOpen(() => check(symbols.cusolverDnDestroyGesvdjInfo(options), "cusolverDnDestroyGesvdjInfo"));
  return { handle, options };
}
