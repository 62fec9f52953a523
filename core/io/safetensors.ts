import { errors, invariant } from "../errors.ts";
import { writeFileAtomic } from "./atomic.ts";
import { describeContent } from "./file-errors.ts";
import { decodeUtf8 } from "./json-file.ts";
import { type MappedFile, openMapped } from "./mapped-file.ts";
import { parseHeader } from "./safetensors-header.ts";
import { DTYPE_BYTES, elementCount, type StoredDtype, type StoredTensor } from "./stored-tensor.ts";

/** An open safetensors file. */
interface SafetensorsFile {
  /** In the order of the header. */
  readonly tensors: Map<string, StoredTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * A tensor to be written. `bytes` given as a function is called when the tensor is written, so that
 * only one such tensor is in memory.
 */
interface TensorToWrite {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array | (() => Uint8Array);
}

// The header's length, u64.
const PREFIX_BYTES = 8;
// The limit of the safetensors library.
const MAX_HEADER_BYTES = 100_000_000;

/** dtypes in the order in which the safetensors library lays them out: by decreasing alignment. */
const DTYPE_ORDER: readonly StoredDtype[] = [
  "I64",
  "F64",
  "F32",
  "I32",
  "BF16",
  "F16",
  "I16",
  "I8",
  "U8",
  "BOOL",
];

function headerBytes(file: MappedFile): Uint8Array {
  const head = file.view(0, Math.min(file.size, 64));
  const found = describeContent(head);
  const hint = found === undefined ? undefined : `this is ${found}`;
  if (file.size < PREFIX_BYTES) {
    throw errors.file(file.path, `is too short for a safetensors file: ${file.size} bytes`, hint);
  }
  const length = new DataView(head.buffer, head.byteOffset).getBigUint64(0, true);
  if (length > BigInt(MAX_HEADER_BYTES)) {
    throw errors.file(file.path, `is not a safetensors file: header length ${length}`, hint);
  }
  const available = file.size - PREFIX_BYTES;
  if (length > available) {
    const facts = `its header has ${length} bytes, found ${available}`;
    throw errors.file(file.path, `is truncated: ${facts}`, hint);
  }
  return file.view(PREFIX_BYTES, Number(length));
}

/**
 * Opens a safetensors file by mmap: data is read on first access, and files above 4 GiB work.
 * Checks every size, offset, dtype and key; throws an AdaloraError naming the file and the tensor.
 */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openMapped(path);
  const json = headerBytes(file);
  const dataStart = PREFIX_BYTES + json.length;
  const text = decodeUtf8(json, `${path}: header`);
  const { entries, metadata } = parseHeader(text, file.size - dataStart, path);
  const tensors = new Map<string, StoredTensor>();
  for (const { name, dtype, shape, begin, end } of entries) {
    tensors.set(name, { dtype, shape, bytes: file.view(dataStart + begin, end - begin) });
  }
  return { tensors, metadata };
}

type NamedTensor = readonly [name: string, tensor: TensorToWrite];

function compareLayout([nameA, a]: NamedTensor, [nameB, b]: NamedTensor): number {
  const byDtype = DTYPE_ORDER.indexOf(a.dtype) - DTYPE_ORDER.indexOf(b.dtype);
  return byDtype || Buffer.compare(Buffer.from(nameA), Buffer.from(nameB));
}

const byteLength = ({ dtype, shape }: TensorToWrite) => elementCount(shape) * DTYPE_BYTES[dtype];

function encodeHeader(
  sorted: readonly NamedTensor[],
  metadata: Readonly<Record<string, string>>,
): Buffer {
  let begin = 0;
  const entries = sorted.map(([name, tensor]) => {
    const offsets = [begin, begin + byteLength(tensor)];
    begin += byteLength(tensor);
    const entry = { dtype: tensor.dtype, shape: tensor.shape, data_offsets: offsets };
    return [name, entry] as const;
  });
  // Written pair by pair: an object would move integer-like keys such as "0" to the front.
  const metadataEntry =
    Object.keys(metadata).length > 0 ? [["__metadata__", metadata] as const] : [];
  const pairs = [...metadataEntry, ...entries]
    .map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`)
    .join(",");
  const json = Buffer.from(`{${pairs}}`);
  const padded = Buffer.alloc(PREFIX_BYTES + Math.ceil(json.length / 8) * 8, " ");
  padded.writeBigUInt64LE(BigInt(padded.length - PREFIX_BYTES));
  json.copy(padded, PREFIX_BYTES);
  return padded;
}

function* encode(
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Readonly<Record<string, string>>,
): Generator<Uint8Array> {
  invariant(!tensors.has("__metadata__"), `a tensor cannot be called "__metadata__"`);
  const sorted = [...tensors].toSorted(compareLayout);
  yield encodeHeader(sorted, metadata);
  for (const [name, tensor] of sorted) {
    const bytes = typeof tensor.bytes === "function" ? tensor.bytes() : tensor.bytes;
    const shape = `[${tensor.shape.join(", ")}]`;
    invariant(
      bytes.length === byteLength(tensor),
      `tensor "${name}" ${tensor.dtype} ${shape} was given ${bytes.length} bytes`,
    );
    yield bytes;
  }
}

/**
 * Writes a safetensors file, byte for byte like the safetensors library: header padded to 8 bytes,
 * tensors ordered by decreasing alignment of the dtype, then by name. Atomic, and streamed tensor
 * by tensor.
 */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorToWrite>,
  metadata: Readonly<Record<string, string>> = { format: "pt" },
): void {
  writeFileAtomic(path, encode(tensors, metadata));
}
