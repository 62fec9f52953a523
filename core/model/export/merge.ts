import { join } from "node:path";
import { errors } from "../../errors.ts";
import { cutText } from "../../excerpt.ts";
import { writeFileAtomic } from "../../io/atomic.ts";
import { openWeightFiles, type WeightFile } from "../../io/checkpoint-files.ts";
import { copyFloats, toFloat64 } from "../../io/float-conversion.ts";
import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { writeRounded } from "../../io/round-to.ts";
import { writeSafetensors } from "../../io/safetensors.ts";
import {
  DTYPE_BYTES,
  elementCount,
  type StoredDtype,
  type StoredTensor,
} from "../../io/stored-tensor.ts";
import type { Matrix } from "../../matrix.ts";
import { savedParameters } from "../adapter-files.ts";
import { parametersOf } from "../load-weights.ts";
import type { DeclaredModel } from "../open-model.ts";
import { type Increment, incrementOf, scaledA } from "./increment.ts";

/** What rounding to the base's dtype has changed. */
export interface Rounding {
  /** Largest difference of a merged weight from its exact value. */
  readonly largest: number;
  /** Largest ‖error‖ / ‖increment‖ of a module: the share of an increment that is lost. */
  readonly share: number;
}

/** Releases the pages of a mapped file behind a tensor that is not needed again soon. */
export type ReleasePages = (bytes: Uint8Array) => void;

/**
 * Writes the base's weights with the adapter's increments and trained modules into `to`: the base's
 * keys, dtypes and division into files, always as safetensors. A head that the base lacks is added
 * to the last file. Holds one merged tensor in memory at a time. Throws E_FILE for an adapted layer
 * or trained tensor that the model lacks.
 */
export function mergeWeights(
  base: string,
  { tree, plugin }: Pick<DeclaredModel, "tree" | "plugin">,
  adapter: PeftAdapter,
  to: string,
  release: ReleasePages,
): Rounding {
  const trained = savedParameters({ tree, plugin }, adapter, base);
  const saved = new Map([...trained].map(([{ name }, tensor]) => [name, tensor] as const));
  const missing = adapter.modules.find(({ path }) => !tree.linears.has(path));
  if (missing) throw errors.file(base, `the model has no layer "${cutText(missing.path)}"`);
  const merger = createMerger({ ...adapter, saved }, release);
  const files = [...openWeightFiles(base)];
  const keys = files.flatMap(({ tensors }) => [...tensors.keys()]);
  const parameterOf = (key: string) => {
    const { parameter, copied } = parametersOf(key, tree, plugin.weights);
    return (parameter ?? copied)?.name;
  };
  const found = new Set(keys.map(parameterOf));
  const heads = [...saved].filter(([name]) => !found.has(name));
  const { prefix } = plugin.weights;
  // transformers reads keys without the prefix as a bare backbone's, which has no head.
  const nameOf = (key: string) =>
    heads.length > 0 && !key.startsWith(prefix) && parameterOf(key)?.startsWith(prefix) === true
      ? prefix + key
      : key;
  const dtype = mainDtype(files);
  const shards = files.map((file, i): Shard => {
    const own = [...file.tensors].map(
      ([key, tensor]) => [nameOf(key), merger.tensor(parameterOf(key), tensor)] as const,
    );
    const added = i === files.length - 1 ? heads : [];
    const all = [...own, ...added.map(([name, head]) => [name, merger.head(head, dtype)] as const)];
    return { name: outputName(file), tensors: new Map(all), metadata: file.metadata };
  });
  for (const { name, tensors, metadata } of shards) {
    writeSafetensors(join(to, name), tensors, { format: "pt", ...metadata });
    merger.releaseLast();
  }
  if (shards.length > 1) writeIndex(to, shards);
  return merger.rounding();
}

// --- internal ---

/** A file of the merged weights. */
interface Shard {
  readonly name: string;
  readonly tensors: ReadonlyMap<string, TensorToWrite>;
  readonly metadata: Readonly<Record<string, string>>;
}

interface TensorToWrite {
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly bytes: () => Uint8Array;
}

/** Merges tensors one by one as they are written, and records what rounding changes. */
function createMerger(adapter: PeftAdapter, release: ReleasePages) {
  const rounding = { largest: 0, share: 0 };
  const modules = new Map(adapter.modules.map((module) => [`${module.path}.weight`, module]));
  let scratch = new Uint8Array(0);
  let written: Uint8Array | undefined;

  /** One buffer for all tensors, as each is written before the next. */
  function buffer(bytes: number): Uint8Array {
    if (scratch.length < bytes) scratch = new Uint8Array(bytes);
    return scratch.subarray(0, bytes);
  }

  function releaseLast(): void {
    if (written) release(written);
    written = undefined;
  }

  function rounded(tensor: StoredTensor, dtype: StoredDtype): Uint8Array {
    const values = toFloat64(tensor);
    const bytes = buffer(values.length * DTYPE_BYTES[dtype]);
    writeRounded(dtype, values, bytes, "a trained tensor");
    return bytes;
  }

  return {
    rounding: (): Rounding => rounding,
    releaseLast,

    /** A tensor of the base that holds the parameter `name`, if any. */
    tensor(name: string | undefined, base: StoredTensor): TensorToWrite {
      const { dtype, shape } = base;
      const saved = name === undefined ? undefined : adapter.saved.get(name);
      const module = name === undefined ? undefined : modules.get(name);
      return {
        dtype,
        shape,
        bytes() {
          releaseLast();
          written = base.bytes;
          if (saved) return rounded(saved, dtype);
          if (module === undefined || module.A.shape[0] === 0) return base.bytes;
          const to = buffer(base.bytes.length);
          addIncrement(base, incrementOf(adapter, module), to, rounding);
          return to;
        },
      };
    },

    head: (saved: StoredTensor, dtype: StoredDtype): TensorToWrite => ({
      dtype,
      shape: saved.shape,
      bytes: () => rounded(saved, dtype),
    }),
  };
}

/** Writes W + scale · B diag(E) A, computed in f64 and rounded to W's dtype, into `to`. */
function addIncrement(
  base: StoredTensor,
  increment: Increment,
  to: Uint8Array,
  rounding: { largest: number; share: number },
): void {
  const { b, path } = increment;
  const a = scaledA(increment);
  const rowBytes = a.cols * DTYPE_BYTES[base.dtype];
  // Reused for all rows: garbage of this size would outgrow the collector.
  const [sum, added] = [new Float64Array(a.cols), new Float64Array(a.cols)];
  let [errorSquares, squares] = [0, 0];
  for (let row = 0; row < b.rows; row++) {
    const [from, end] = [row * rowBytes, (row + 1) * rowBytes];
    copyFloats({ dtype: base.dtype, bytes: base.bytes.subarray(from, end) }, sum);
    incrementRow(increment, a, row, added);
    for (let i = 0; i < a.cols; i++) {
      sum[i] = sum[i]! + added[i]!;
      squares += added[i]! * added[i]!;
    }
    const bytes = to.subarray(from, end);
    writeRounded(base.dtype, sum, bytes, path);
    copyFloats({ dtype: base.dtype, bytes }, added);
    for (let i = 0; i < a.cols; i++) {
      const error = Math.abs(added[i]! - sum[i]!);
      rounding.largest = Math.max(rounding.largest, error);
      errorSquares += error * error;
    }
  }
  if (squares > 0) rounding.share = Math.max(rounding.share, Math.sqrt(errorSquares / squares));
}

/** Sets `to` to a row of the increment. */
function incrementRow({ b, rank, scale }: Increment, a: Matrix, row: number, to: Float64Array) {
  to.fill(0);
  for (let t = 0; t < rank; t++) {
    const factor = scale * b.values[row * rank + t]!;
    const from = t * a.cols;
    for (let i = 0; i < a.cols; i++) to[i] = to[i]! + factor * a.values[from + i]!;
  }
}

/** The dtype of the largest tensor. */
function mainDtype(files: readonly WeightFile[]): StoredDtype {
  const tensors = files.flatMap((file) => [...file.tensors.values()]);
  const [largest] = tensors.toSorted((x, y) => elementCount(y.shape) - elementCount(x.shape));
  return largest?.dtype ?? "F32";
}

/** The file's name, with that of a torch checkpoint as transformers names it in safetensors. */
const outputName = ({ name }: WeightFile) =>
  name.replace(/^pytorch_model(.*)\.bin$/, "model$1.safetensors");

function writeIndex(to: string, shards: readonly Shard[]): void {
  const entries = shards.flatMap(({ name, tensors }) =>
    [...tensors.keys()].map((key) => [key, name] as const),
  );
  const sizes = shards.flatMap(({ tensors }) =>
    [...tensors.values()].map(({ dtype, shape }) => elementCount(shape) * DTYPE_BYTES[dtype]),
  );
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const index = {
    metadata: { total_size: total },
    weight_map: Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1))),
  };
  const path = join(to, "model.safetensors.index.json");
  writeFileAtomic(path, `${JSON.stringify(index, null, 2)}\n`);
}
