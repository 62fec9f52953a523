import { crc32 } from "node:zlib";
import { writeFileAtomic } from "./atomic.ts";
import { elementCount, type StoredDtype, type StoredTensor } from "./stored-tensor.ts";

const STORAGES: Partial<Record<StoredDtype, string>> = {
  F64: "DoubleStorage",
  F32: "FloatStorage",
  F16: "HalfStorage",
  BF16: "BFloat16Storage",
};

/**
 * Writes a state dict as torch.save does: an uncompressed zip with a pickle of an OrderedDict and
 * one storage per tensor; torch.load reads it with `weights_only=True`. Floating-point tensors
 * only; for files of adapters, far below 4 GiB.
 */
export function writeTorchStateDict(
  path: string,
  tensors: ReadonlyMap<string, StoredTensor>,
): void {
  const storages = [...tensors.values()].map(({ bytes }, i) => [`data/${i}`, bytes] as const);
  const files: (readonly [string, Uint8Array])[] = [
    ["data.pkl", pickle(tensors)],
    ["byteorder", Buffer.from("little")],
    ...storages,
    ["version", Buffer.from("3\n")],
  ];
  writeFileAtomic(path, zip(files.map(([name, bytes]) => [`archive/${name}`, bytes] as const)));
}

// --- internal ---

/** Opcodes of pickle protocol 2. */
const OP = {
  proto: 0x80,
  global: 0x63,
  emptyTuple: 0x29,
  reduce: 0x52,
  mark: 0x28,
  unicode: 0x58,
  int: 0x4a,
  tuple: 0x74,
  persistentId: 0x51,
  no: 0x89,
  setItems: 0x75,
  stop: 0x2e,
} as const;

function pickle(tensors: ReadonlyMap<string, StoredTensor>): Uint8Array {
  const parts: Uint8Array[] = [];
  const op = (code: number) => void parts.push(Uint8Array.of(code));
  const global = (module: string, name: string) =>
    void parts.push(Buffer.from(`c${module}\n${name}\n`));
  const u32 = (code: number, value: number) => {
    const bytes = Buffer.alloc(5);
    bytes[0] = code;
    bytes.writeUInt32LE(value, 1);
    parts.push(bytes);
  };
  const text = (value: string) => {
    const bytes = Buffer.from(value);
    u32(OP.unicode, bytes.length);
    parts.push(bytes);
  };
  const orderedDict = () => {
    global("collections", "OrderedDict");
    op(OP.emptyTuple);
    op(OP.reduce);
  };
  const tuple = (write: () => void) => {
    op(OP.mark);
    write();
    op(OP.tuple);
  };
  const sizes = (values: readonly number[]) =>
    tuple(() => {
      for (const value of values) u32(OP.int, value);
    });

  parts.push(Uint8Array.of(OP.proto, 2));
  orderedDict();
  op(OP.mark);
  for (const [i, [name, { dtype, shape }]] of [...tensors].entries()) {
    const storage = STORAGES[dtype];
    if (storage === undefined) throw new Error(`internal: no torch storage for ${dtype}`);
    text(name);
    global("torch._utils", "_rebuild_tensor_v2");
    tuple(() => {
      tuple(() => {
        text("storage");
        global("torch", storage);
        text(String(i));
        text("cpu");
        u32(OP.int, elementCount(shape));
      });
      op(OP.persistentId);
      u32(OP.int, 0);
      sizes(shape);
      sizes(stridesOf(shape));
      op(OP.no);
      orderedDict();
    });
    op(OP.reduce);
  }
  op(OP.setItems);
  op(OP.stop);
  return Buffer.concat(parts);
}

const stridesOf = (shape: readonly number[]) =>
  shape.map((_, i) => elementCount(shape.slice(i + 1)));

/** The bytes of a zip whose files are stored uncompressed, with contents at multiples of 64. */
function* zip(files: readonly (readonly [string, Uint8Array])[]): Generator<Uint8Array> {
  const records: Buffer[] = [];
  let offset = 0;
  for (const [name, bytes] of files) {
    const header = localHeader(name, bytes, offset);
    records.push(centralRecord(name, bytes, offset));
    yield header;
    yield bytes;
    offset += header.length + bytes.length;
  }
  const directory = Buffer.concat(records);
  yield directory;
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(records.length, 8);
  end.writeUInt16LE(records.length, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(offset, 16);
  yield end;
}

/** torch maps storages into memory, and aligns them by an extra field of the header. */
const ALIGNMENT = 64;

function localHeader(name: string, bytes: Uint8Array, offset: number): Buffer {
  const fixed = 30 + Buffer.byteLength(name) + 4;
  const padding = (ALIGNMENT - ((offset + fixed) % ALIGNMENT)) % ALIGNMENT;
  const header = Buffer.alloc(fixed + padding);
  header.writeUInt32LE(0x04034b50, 0);
  writeEntry(header, 4, name, bytes);
  header.writeUInt16LE(4 + padding, 28);
  const extra = 30 + header.write(name, 30);
  header.write("FB", extra);
  header.writeUInt16LE(padding, extra + 2);
  return header;
}

function centralRecord(name: string, bytes: Uint8Array, offset: number): Buffer {
  const record = Buffer.alloc(46 + Buffer.byteLength(name));
  record.writeUInt32LE(0x02014b50, 0);
  writeEntry(record, 6, name, bytes);
  record.writeUInt32LE(offset, 42);
  record.write(name, 46);
  return record;
}

/** The fields that both headers share, from "version needed" on. */
function writeEntry(header: Buffer, at: number, name: string, bytes: Uint8Array): void {
  header.writeUInt32LE(crc32(bytes), at + 10);
  header.writeUInt32LE(bytes.length, at + 14);
  header.writeUInt32LE(bytes.length, at + 18);
  header.writeUInt16LE(Buffer.byteLength(name), at + 22);
}
