import type { Backend, DType, HostArray } from "../../../core/backend.ts";
import { errors, invariant } from "../../../core/errors.ts";
import { CudaBuffer, type CudaType, cudaBuffer, elementBytes } from "../buffer.ts";
import type { CudaContext } from "../context.ts";
import type { DevicePool } from "../pool.ts";
import type { Staging } from "../staging.ts";
import { adopter } from "./adopt.ts";
import { fromBfloats, toBfloats } from "./host-bf16.ts";

type Memory = Pick<
  Backend,
  "alloc" | "free" | "view" | "zero" | "copy" | "upload" | "download" | "adopt" | "memory"
> &
  Required<Pick<Backend, "startDownload">>;

const bytesOf = (buffer: CudaBuffer) => buffer.length * elementBytes[buffer.dtype];

function cudaType(dtype: DType): CudaType {
  invariant(dtype !== "f64", () => `the cuda backend has no ${dtype} buffers`);
  return dtype;
}

function writable(buffer: CudaBuffer): CudaBuffer {
  invariant(buffer.writable, "a checkpoint's weights are read-only");
  return buffer;
}

/** Allocation and transfers. */
export function memoryKernels(
  { driver, stream }: CudaContext,
  pool: DevicePool,
  staging: Staging,
): Memory {
  const adopt = adopter(pool, staging);
  let [live, peak] = [0, 0];
  return {
    alloc(dtype, length) {
      const type = cudaType(dtype);
      const bytes = length * elementBytes[type];
      const buffer = new CudaBuffer(type, length, pool.alloc(bytes));
      buffer.ownedBytes = Math.max(bytes, 1);
      live += bytes;
      if (live > peak) peak = live;
      return buffer;
    },
    free(buffer) {
      const own = cudaBuffer(buffer);
      if (own.ownedBytes === 0) return;
      if (own.writable) live -= bytesOf(own);
      own.freed = true;
      pool.free(own.pointer, own.ownedBytes);
    },
    view(buffer, offset, length) {
      const { dtype, pointer, writable: isWritable, length: whole } = cudaBuffer(buffer);
      invariant(offset >= 0 && offset + length <= whole, "a view lies within its buffer");
      return new CudaBuffer(dtype, length, pointer + offset * elementBytes[dtype], isWritable);
    },
    zero(buffer) {
      const own = writable(cudaBuffer(buffer));
      if (own.length === 0) return;
      driver.call("cuMemsetD8Async", undefined, own.pointer, 0, bytesOf(own), stream);
    },
    copy(to, from) {
      const [target, source] = [writable(cudaBuffer(to)), cudaBuffer(from)];
      invariant(target.dtype === source.dtype, "a copy keeps the type");
      invariant(target.length >= source.length, "a copy fits its target");
      const bytes = bytesOf(source);
      if (bytes === 0) return;
      driver.call("cuMemcpyDtoDAsync_v2", undefined, target.pointer, source.pointer, bytes, stream);
    },
    adopt(tensor, dtype) {
      if (dtype !== "f32" && dtype !== "bf16")
        throw errors.machine(`the cuda backend has no ${dtype} weights`, "use --dtype f32 or bf16");
      const buffer = adopt(tensor, dtype);
      buffer.ownedBytes = Math.max(bytesOf(buffer), 1);
      return buffer;
    },
    memory: () => ({ live, peak, reserved: pool.reservedBytes }),
    ...transferKernels(staging),
  };
}

function transferKernels(
  staging: Staging,
): Required<Pick<Backend, "upload" | "download" | "startDownload">> {
  return {
    upload(to, from) {
      const own = writable(cudaBuffer(to));
      invariant(from.length <= own.length, "an upload fits its buffer");
      const size = elementBytes[own.dtype];
      staging.upload(own.pointer, from.length * size, (part, first) =>
        write(own.dtype, part, slice(from, first / size, (first + part.length) / size)),
      );
    },
    download(from) {
      const own = cudaBuffer(from);
      return hostArray(own.dtype, staging.download(own.pointer, bytesOf(own)));
    },
    startDownload(from) {
      const own = cudaBuffer(from);
      const wait = staging.startDownload(own.pointer, bytesOf(own));
      return () => hostArray(own.dtype, wait());
    },
  };
}

/** Elements start .. end - 1, without a copy where these are all. */
function slice(from: ArrayLike<number>, start: number, end: number): ArrayLike<number> {
  if (start === 0 && end === from.length) return from;
  return Array.from({ length: end - start }, (_, i) => from[start + i]!);
}

/** Writes numbers as elements of a type. */
function write(type: CudaType, to: Uint8Array, from: ArrayLike<number>) {
  const { buffer, byteOffset } = to;
  if (type === "i32") new Int32Array(buffer, byteOffset, from.length).set(from);
  else if (type === "f32") new Float32Array(buffer, byteOffset, from.length).set(from);
  else toBfloats(from, new Uint16Array(buffer, byteOffset, from.length));
}

/** The elements of downloaded bytes. */
export function hostArray(type: CudaType, bytes: Uint8Array): HostArray {
  const { buffer, byteOffset, length } = bytes;
  if (type === "i32") return new Int32Array(buffer, byteOffset, length / 4);
  if (type === "f32") return new Float32Array(buffer, byteOffset, length / 4);
  return fromBfloats(new Uint16Array(buffer, byteOffset, length / 2));
}
