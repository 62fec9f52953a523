import { type FFIFunction, FFIType, type Library } from "bun:ffi";
import { checked, openLibrary } from "../../load.ts";
import { withoutSignals } from "../../signals.ts";
import { REBUILD } from "../build.ts";

/** FFI type of an address. */
export const P = "ptr";
/** FFI type of an int or int32_t. */
export const I = "i32";
/** FFI type of an int64_t. */
export const L = "i64";
/** FFI type of a float. */
export const F = "f32";
/** FFI type of sizes: integers below 2^53 without BigInt. */
export const SIZE = FFIType.i64_fast;

type Symbols = Record<string, FFIFunction>;

type Checked<S extends Symbols> = {
  readonly [K in keyof S]: (...args: Parameters<Library<S>["symbols"][K]>) => void;
};

/** enum adl_status of kernels/adl.h. */
const STATUS = ["success", "an index points outside its table"];
const describe = (status: number) => STATUS[status] ?? "unknown status";

/** Types that kernels are compiled for; symbol names end in them. */
export type KernelType = "f32" | "bf16";

/** Opens the kernels of one type; each throws E_NATIVE on a status other than 0. */
export function openKernels<const S extends Symbols>(
  library: string,
  table: S,
  type: KernelType,
): Checked<S> {
  const typed = Object.entries(table).map(([name, fn]) => [`${name}_${type}`, fn] as const);
  const { symbols } = openLibrary(
    "the CPU kernels",
    [library],
    Object.fromEntries<FFIFunction>(typed),
    REBUILD,
  );
  const entries = Object.keys(table).map((name) => {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every kernel returns a status
    const fn = symbols[`${name}_${type}`] as unknown as (...args: unknown[]) => number;
    return [name, checked(`${name}_${type}`, withoutSignals(fn), describe)] as const;
  });
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table's own names and arguments
  return Object.fromEntries(entries) as unknown as Checked<S>;
}

/** Opens functions that return a kernel's scratch size in floats. */
export const openSizes = <const S extends Symbols>(library: string, table: S) =>
  openLibrary("the CPU kernels", [library], table, REBUILD).symbols;

/** `openKernels` for each type on first use: below AVX-512 there are no bf16 kernels. */
export function typedKernels<const S extends Symbols>(
  library: string,
  table: S,
): (type: KernelType) => Checked<S> {
  const opened = new Map<KernelType, Checked<S>>();
  return (type) => {
    const kernels = opened.get(type) ?? openKernels(library, table, type);
    opened.set(type, kernels);
    return kernels;
  };
}
