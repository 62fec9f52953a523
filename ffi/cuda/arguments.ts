import { ptr } from "bun:ffi";
import { invariant } from "../../core/errors.ts";
import type { CudaBuffer } from "./buffer.ts";
import { type Arg, FloatArg, GROUP } from "./launcher.ts";

/** CUDA's limit on the bytes of all arguments, and ours on their number. */
const [MAX_ARGUMENT_BYTES, MAX_ARGUMENTS] = [4096, 48];

/** 2^52 + n is a double whose lower 52 bits are the integer n: an address without a BigInt. */
const [INTEGER, UPPER_BITS] = [2 ** 52, 0xf_ffff];

/** Memory from which cuLaunchKernel reads arguments, at offsets of 4-byte words. */
class ArgumentMemory {
  readonly ints: Int32Array;
  readonly floats: Float32Array;
  /** The list of the arguments' addresses. A call takes the list itself, which stays alive. */
  readonly addresses: Uint32Array;
  readonly #doubles: Float64Array;

  /** `offsets`: where each argument begins, a multiple of 2; `words`: where the last one ends. */
  constructor(offsets: readonly number[], words: number) {
    invariant(4 * words <= MAX_ARGUMENT_BYTES, "a kernel's arguments take at most 4096 bytes");
    const memory = new ArrayBuffer(8 * Math.ceil(words / 2));
    this.ints = new Int32Array(memory);
    this.floats = new Float32Array(memory);
    this.#doubles = new Float64Array(memory);
    this.addresses = new Uint32Array(new ArrayBuffer(8 * offsets.length));
    const base = ptr(this.ints);
    offsets.forEach((offset, i) => {
      const address = base + 4 * offset;
      const high = Math.floor(address / 2 ** 32);
      this.addresses.set([address - high * 2 ** 32, high], 2 * i);
    });
  }

  /** Writes a device address, or null, to two words. */
  pointer(at: number, buffer: CudaBuffer | undefined): void {
    this.#doubles[at >> 1] = (buffer === undefined ? 0 : buffer.pointer) + INTEGER;
    this.ints[at + 1]! &= UPPER_BITS;
  }

  /** Writes an integer of up to 53 bits to two words, of which an `int` has the lower one. */
  integer(at: number, value: number): void {
    const { ints } = this;
    const low = value | 0;
    ints[at] = low;
    ints[at + 1] = low === value ? low >> 31 : Math.floor(value / 2 ** 32);
  }
}

/**
 * Returns a function that writes arguments where cuLaunchKernel reads them, each to 8 bytes, and
 * returns the list of their addresses. The driver copies the arguments during the call.
 */
export function argumentPacker(): (args: readonly Arg[]) => Uint32Array {
  const offsets = Array.from({ length: MAX_ARGUMENTS }, (_, i) => 2 * i);
  const memory = new ArgumentMemory(offsets, 2 * MAX_ARGUMENTS);
  const { floats, addresses } = memory;
  return (args) => {
    invariant(args.length <= MAX_ARGUMENTS, "a kernel has at most 48 arguments");
    for (let i = 0; i < args.length; i++) {
      const arg = args[i];
      if (typeof arg === "number") memory.integer(2 * i, arg);
      else if (arg instanceof FloatArg) floats[2 * i] = arg.value;
      else memory.pointer(2 * i, arg);
    }
    return addresses;
  };
}

/** Types of a kernel's parameters; "each …" is Each<T> of kernels/language.h. */
export type ParameterType = "pointer" | "int" | "each pointer" | "each int" | "each float";

/** Words of a parameter, with those that align the next one to 8 bytes. */
const WORDS: Readonly<Record<ParameterType, number>> = {
  pointer: 2,
  int: 2,
  "each pointer": 2 * GROUP,
  "each int": GROUP,
  "each float": GROUP,
};

/**
 * The arguments of a kernel that treats a group of matrices, written in place: nothing is allocated
 * for a launch. Of a parameter that all matrices share, `i` is 0.
 */
export class GroupedArguments<Name extends string> {
  /** Where each parameter begins. */
  readonly at: Readonly<Record<Name, number>>;
  readonly #memory: ArgumentMemory;
  /** Words of the pointers to matrices. */
  readonly #pointers: readonly number[];
  #count = 0;

  /** `parameters`: in the kernel's order. */
  constructor(parameters: Readonly<Record<Name, ParameterType>>) {
    const at: Record<string, number> = {};
    const offsets: number[] = [];
    const pointers: number[] = [];
    let words = 0;
    for (const [name, type] of Object.entries<ParameterType>(parameters)) {
      at[name] = words;
      offsets.push(words);
      if (type === "each pointer") pointers.push(words);
      words += WORDS[type];
    }
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it has the same names
    this.at = at as Record<Name, number>;
    this.#pointers = pointers;
    this.#memory = new ArgumentMemory(offsets, words);
  }

  /** The list of addresses that cuLaunchKernel takes. */
  get addresses(): Uint32Array {
    return this.#memory.addresses;
  }

  /**
   * Begins the arguments of `count` matrices. Pointers of further ones, which an earlier launch had,
   * become null, so that a kernel that reads past the group fails.
   */
  begin(count: number): void {
    for (let i = count; i < this.#count; i++)
      for (const at of this.#pointers) this.#memory.pointer(at + 2 * i, undefined);
    this.#count = count;
  }

  /** Sets the pointer of matrix `i` in the parameter that begins at `at`. */
  pointer(at: number, i: number, buffer: CudaBuffer | undefined): void {
    this.#memory.pointer(at + 2 * i, buffer);
  }

  /** Sets the 32-bit integer of matrix `i` in the parameter that begins at `at`. */
  int(at: number, i: number, value: number): void {
    this.#memory.ints[at + i] = value;
  }

  /** Sets the float of matrix `i` in the parameter that begins at `at`. */
  float(at: number, i: number, value: number): void {
    this.#memory.floats[at + i] = value;
  }
}
