import { errors } from "../errors.ts";
import type { MappedFile } from "./mapped-file.ts";
import { DTYPE_BYTES, elementCount, type StoredTensor } from "./stored-tensor.ts";
import { describeValue, TensorRef } from "./torch-tensors.ts";

function isContiguous({ shape, strides }: TensorRef): boolean {
  let expected = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    if (shape[axis] !== 1 && strides[axis] !== expected) return false;
    expected *= shape[axis]!;
  }
  return true;
}

/** Copies a strided tensor into row-major order, element by element. */
function gather(ref: TensorRef, source: Uint8Array): Uint8Array {
  const width = DTYPE_BYTES[ref.storage.dtype];
  const out = new Uint8Array(elementCount(ref.shape) * width);
  // An axis of size 1 never advances, but would be visited for every element.
  const axes = ref.shape.flatMap((size, axis) => (size === 1 ? [] : [axis]));
  const [shape, strides] = [axes.map((i) => ref.shape[i]!), axes.map((i) => ref.strides[i]!)];
  const index = shape.map(() => 0);
  let from = 0;
  for (let to = 0; to < out.length; to += width) {
    for (let byte = 0; byte < width; byte++) out[to + byte] = source[from * width + byte]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      index[axis]!++;
      from += strides[axis]!;
      if (index[axis]! < shape[axis]!) break;
      from -= shape[axis]! * strides[axis]!;
      index[axis] = 0;
    }
  }
  return out;
}

/** Returns the bytes of a storage, at least `size` of them, or throws an AdaloraError. */
type StorageBytes = (key: string, size: number) => Uint8Array;

/** Copies strided tensors once each, and no more bytes in all than the file has. */
class Copies {
  readonly #known = new Map<string, Uint8Array>();
  #left: number;
  readonly #where: string;

  constructor(fileSize: number, where: string) {
    this.#left = fileSize;
    this.#where = where;
  }

  of(ref: TensorRef, source: Uint8Array): Uint8Array {
    const { storage, offset, shape, strides } = ref;
    const key = [storage.key, storage.start, offset, shape, "/", strides].join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#left -= elementCount(shape) * DTYPE_BYTES[storage.dtype];
    if (this.#left < 0) {
      const rule = "its transposed tensors need more memory than the whole file has bytes";
      throw errors.file(this.#where, rule, "save it with contiguous tensors");
    }
    const bytes = gather(ref, source);
    this.#known.set(key, bytes);
    return bytes;
  }
}

function readTensor(ref: TensorRef, storageBytes: StorageBytes, copies: Copies): StoredTensor {
  const { storage, shape, offset } = ref;
  const width = DTYPE_BYTES[storage.dtype];
  const count = elementCount(shape);
  if (count === 0) return { dtype: storage.dtype, shape, bytes: new Uint8Array(0) };
  const whole = storageBytes(storage.key, (storage.start + storage.elements) * width);
  const source = whole.subarray((storage.start + offset) * width);
  const bytes = isContiguous(ref) ? source.subarray(0, count * width) : copies.of(ref, source);
  return { dtype: storage.dtype, shape, bytes };
}

/**
 * Converts the unpickled state dict of a file (name → tensor, nothing else) into tensors; views
 * where the strides allow it.
 */
export function readStateDict(
  stateDict: unknown,
  file: Pick<MappedFile, "path" | "size">,
  storageBytes: StorageBytes,
): Map<string, StoredTensor> {
  if (!(stateDict instanceof Map)) {
    throw errors.file(file.path, `must hold a dict of tensors, got ${describeValue(stateDict)}`);
  }
  const copies = new Copies(file.size, file.path);
  const tensors = new Map<string, StoredTensor>();
  for (const [name, value] of stateDict) {
    if (typeof name !== "string" || !(value instanceof TensorRef)) {
      const hint = "only a plain state dict is read: save model.state_dict() alone";
      throw errors.file(
        `${file.path}: ${describeValue(name)}`,
        `must be a tensor, got ${describeValue(value)}`,
        hint,
      );
    }
    tensors.set(name, readTensor(value, storageBytes, copies));
  }
  return tensors;
}
