import { type FFIFunction, FFIType, type Library } from "bun:ffi";
import { checked, openLibrary } from "../../load.ts";

/** What C kernels take: addresses, 32- and 64-bit integers, floats. */
export const P = "ptr";
export const I = "i32";
export const L = "i64";
export const F = "f32";
/** What sizes come back as: whole numbers below 2^53 without a BigInt. */
export const SIZE = FFIType.i64_fast;

type Symbols = Record<string, FFIFunction>;

type Checked<S extends Symbols> = {
  readonly [K in keyof S]: (...args: Parameters<Library<S>["symbols"][K]>) => void;
};

const HINT = "npm run setup compiles it anew";

/** enum adl_status of kernels/adl.h. */
const STATUS = ["success", "an index points outside its table"];
const describe = (status: number) => STATUS[status] ?? "unknown status";

/** Kernels of the compiled library, each throwing E_NATIVE on a status other than 0. */
export function openKernels<const S extends Symbols>(library: string, table: S): Checked<S> {
  const { symbols } = openLibrary("the CPU kernels", [library], table, HINT);
  const entries = Object.entries(symbols).map(
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every kernel returns a status
    ([name, fn]) => [name, checked(name, fn as (...args: unknown[]) => number, describe)] as const,
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the table's own names and arguments
  return Object.fromEntries(entries) as unknown as Checked<S>;
}

/** Functions of the compiled library that say how many floats of scratch a kernel needs. */
export const openSizes = <const S extends Symbols>(library: string, table: S) =>
  openLibrary("the CPU kernels", [library], table, HINT).symbols;
