import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { toFloat64 } from "../io/float-conversion.ts";
import { type JsonObject, readJsonObject } from "../io/json-file.ts";
import { openSafetensors } from "../io/safetensors.ts";
import type { StoredTensor } from "../io/stored-tensor.ts";
import type { TokenBatch } from "../nn/packed-batch.ts";

/** Values of a recorded tensor, [shape] row-major; integers are exact. */
export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly values: Float64Array;
}

/** A folder of what another program computed: golden.json and golden.safetensors. */
export interface GoldenCase {
  readonly dir: string;
  /** The settings of the case; each reader checks the keys that it needs. */
  readonly golden: JsonObject;
  readonly tensors: ReadonlyMap<string, GoldenTensor>;
}

/** Reads golden.json and its tensors. Throws E_FILE. */
export function readGoldenCase(dir: string): GoldenCase {
  const golden = readJsonObject(join(dir, "golden.json"));
  const file = join(dir, "golden.safetensors");
  const stored = existsSync(file) ? [...openSafetensors(file).tensors] : [];
  return { dir, golden, tensors: new Map(stored.map(([name, t]) => [name, valuesOf(t)])) };
}

/** A tensor of a case. Throws E_FILE if it has none of that name. */
export function tensorOf({ tensors, dir }: GoldenCase, name: string): GoldenTensor {
  const tensor = tensors.get(name);
  if (!tensor) throw errors.file(join(dir, "golden.safetensors"), `holds no ${name}`);
  return tensor;
}

/** A packed batch, and the row of each of its tokens in the padded tensors. */
export type PackedGolden = TokenBatch & { readonly rows: Int32Array };

/** Packs one padded batch of recorded tensors; rows [B, T] start at `offset` in their tensors. */
export function packGolden(
  ids: GoldenTensor,
  mask: GoldenTensor,
  types: GoldenTensor | undefined,
  { offset = 0 }: { offset?: number } = {},
): PackedGolden {
  const [batch, width] = [ids.shape.at(-2) ?? 0, ids.shape.at(-1) ?? 0];
  const rows: number[] = [];
  const offsets = new Int32Array(batch + 1);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < width; t++)
      if (mask.values[offset + b * width + t]) rows.push(b * width + t);
    offsets[b + 1] = rows.length;
  }
  return {
    ids: Int32Array.from(rows, (row) => ids.values[offset + row]!),
    positions: Int32Array.from(rows, (row) => row % width),
    ...(types ? { typeIds: Int32Array.from(rows, (row) => types.values[offset + row]!) } : {}),
    offsets,
    rows: Int32Array.from(rows),
  };
}

/** Values of a padded tensor [B, T, width] at packed rows. */
export function packedRows(
  { shape, values }: GoldenTensor,
  rows: Int32Array,
  width = shape.at(-1) ?? 1,
): number[] {
  return Array.from(rows).flatMap((row) => [...values.subarray(row * width, (row + 1) * width)]);
}

/** The values of a stored tensor; integers are exact. */
export function valuesOf(tensor: StoredTensor): GoldenTensor {
  const { dtype, shape, bytes } = tensor;
  if (dtype !== "I64") return { shape, values: toFloat64(tensor) };
  const aligned = bytes.slice();
  return { shape, values: Float64Array.from(new BigInt64Array(aligned.buffer), Number) };
}
