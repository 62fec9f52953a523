import { excerpt, shownShape } from "../excerpt.ts";
import { elementCount, isSize, type StoredDtype } from "./stored-tensor.ts";
import { type CallTools, PickleGlobal, type PickleHooks } from "./unpickler.ts";

const STORAGE_DTYPES: Readonly<Record<string, StoredDtype>> = {
  "torch.DoubleStorage": "F64",
  "torch.FloatStorage": "F32",
  "torch.HalfStorage": "F16",
  "torch.BFloat16Storage": "BF16",
  "torch.LongStorage": "I64",
  "torch.IntStorage": "I32",
  "torch.ShortStorage": "I16",
  "torch.CharStorage": "I8",
  "torch.ByteStorage": "U8",
  "torch.BoolStorage": "BOOL",
};

/**
 * A block of elements that tensors share. `start` is non-zero for a storage that the legacy format
 * saved as a view of another.
 */
class StorageRef {
  readonly key: string;
  readonly dtype: StoredDtype;
  readonly start: number;
  readonly elements: number;

  constructor(key: string, dtype: StoredDtype, start: number, elements: number) {
    this.key = key;
    this.dtype = dtype;
    this.start = start;
    this.elements = elements;
  }
}

/**
 * A tensor over a storage; offset and strides count elements. Its extent is checked on creation.
 */
export class TensorRef {
  readonly storage: StorageRef;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];

  constructor(
    storage: StorageRef,
    offset: number,
    shape: readonly number[],
    strides: readonly number[],
  ) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

type Fail = (rule: string) => never;

// torch's own limit.
const MAX_AXES = 64;

const isSizeList = (value: unknown): value is number[] =>
  Array.isArray(value) && value.length <= MAX_AXES && value.every(isSize);

/** Parses ("storage", type, key, device, elements[, (view key, first element, elements)]). */
function storageOf(id: unknown, fail: Fail): StorageRef {
  const [kind, type, key, , elements, view]: unknown[] = Array.isArray(id) ? id : [];
  const dtype = type instanceof PickleGlobal ? STORAGE_DTYPES[type.name] : undefined;
  if (kind !== "storage" || dtype === undefined || typeof key !== "string" || !isSize(elements)) {
    return fail("describes a storage in an unknown format");
  }
  if (view === undefined || view === null) return new StorageRef(key, dtype, 0, elements);
  const [, start, count]: unknown[] = Array.isArray(view) ? view : [];
  if (!isSize(start) || !isSize(count) || start + count > elements) {
    return fail("describes a view outside its storage");
  }
  return new StorageRef(key, dtype, start, count);
}

function rebuildTensor(args: readonly unknown[], { fail }: CallTools): TensorRef {
  const [storage, offset, shape, strides] = args;
  if (!(storage instanceof StorageRef) || !isSize(offset))
    return fail("rebuilds a tensor without a storage");
  if (!isSizeList(shape) || !isSizeList(strides) || shape.length !== strides.length) {
    return fail("rebuilds a tensor whose shape and strides do not match");
  }
  const count = elementCount(shape);
  const last = shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] ?? 0), offset);
  // An expanded tensor has more elements than its storage. No weight does, and copying one could
  // take any amount of memory.
  if (count > 0 && !(last < storage.elements && count <= storage.elements)) {
    const facts = `shape ${shownShape(shape)}, strides ${shownShape(strides)}, offset ${offset}`;
    return fail(
      `rebuilds a tensor larger than its storage of ${storage.elements} elements: ${facts}`,
    );
  }
  return new TensorRef(storage, offset, shape, strides);
}

function orderedDict(args: readonly unknown[], { fail, charge }: CallTools): Map<unknown, unknown> {
  const [pairs = []] = args;
  if (!Array.isArray(pairs)) return fail("builds an OrderedDict from something other than a list");
  charge(pairs.length);
  return new Map(
    pairs.map((pair: unknown) => {
      if (Array.isArray(pair) && pair.length === 2) return [pair[0], pair[1]];
      return fail("builds an OrderedDict from something other than a list of pairs");
    }),
  );
}

const CALLS: Readonly<Record<string, (args: readonly unknown[], tools: CallTools) => unknown>> = {
  "collections.OrderedDict": orderedDict,
  "torch._utils._rebuild_tensor": rebuildTensor,
  "torch._utils._rebuild_tensor_v2": rebuildTensor,
  "torch._utils._rebuild_parameter": ([data], { fail }) =>
    data instanceof TensorRef
      ? data
      : fail("builds a parameter from something other than a tensor"),
};

/**
 * The allow-list of a torch checkpoint: storages, the functions that rebuild tensors, and
 * OrderedDict.
 */
export const TORCH_HOOKS: PickleHooks = {
  allows: (name) => Object.hasOwn(CALLS, name) || Object.hasOwn(STORAGE_DTYPES, name),
  persistent: storageOf,
  call(name, args, tools) {
    const call = Object.hasOwn(CALLS, name) ? CALLS[name] : undefined;
    return call === undefined ? tools.fail(`calls ${name}`) : call(args, tools);
  },
};

/** The dtype of each storage key that a state dict uses. */
export function storageDtypes(stateDict: unknown): Map<string, StoredDtype> {
  const dtypes = new Map<string, StoredDtype>();
  if (!(stateDict instanceof Map)) return dtypes;
  for (const value of stateDict.values()) {
    if (value instanceof TensorRef) dtypes.set(value.storage.key, value.storage.dtype);
  }
  return dtypes;
}

/** A value of a pickle in Python's terms, for messages. */
export function describeValue(value: unknown): string {
  if (value instanceof Map) return "a dict";
  if (Array.isArray(value)) return "a list";
  if (value instanceof TensorRef) return "a tensor";
  if (value instanceof StorageRef) return "a storage";
  if (value instanceof PickleGlobal) return value.name;
  if (typeof value === "string") return excerpt(value);
  if (value === null) return "None";
  return typeof value === "number" ? String(value) : `a ${typeof value}`;
}
