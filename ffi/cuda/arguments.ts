import { ptr } from "bun:ffi";
import { invariant } from "../../core/errors.ts";
import { CudaBuffer } from "./buffer.ts";
import { type Arg, FloatArg, GROUP, type Value } from "./launcher.ts";

/** CUDA's limit on the bytes of all arguments, and ours on their number. */
const [MAX_ARGUMENT_BYTES, MAX_ARGUMENTS] = [4096, 48];

/**
 * Writes arguments where cuLaunchKernel reads them: each from 8 bytes of its own on, and a list of
 * their addresses. The driver copies them during the call.
 */
export function argumentPacker(): (args: readonly Arg[]) => Uint32Array {
  const words = new Uint32Array(new ArrayBuffer(MAX_ARGUMENT_BYTES));
  const ints = new Int32Array(words.buffer);
  const floats = new Float32Array(words.buffer);
  const addresses = new Uint32Array(new ArrayBuffer(8 * MAX_ARGUMENTS));
  const base = ptr(words);

  function wide(to: Uint32Array, at: number, value: number) {
    const high = Math.floor(value / 2 ** 32);
    to[at] = value - high * 2 ** 32;
    to[at + 1] = high;
  }

  /** Writes an argument of 8 bytes: of a smaller integer's the lower half is read. */
  function write(value: Value, at: number) {
    if (typeof value === "object") {
      if (value instanceof FloatArg) floats[at] = value.value;
      else wide(words, at, value.pointer);
      return;
    }
    const number = value ?? 0;
    if ((number | 0) !== number) return wide(words, at, number);
    ints[at] = number;
    ints[at + 1] = number >> 31;
  }

  /** Writes a group's values one after another, then zeros; returns the words that they take. */
  function writeGroup(values: readonly Value[], at: number): number {
    const [first] = values;
    const isPointer = first === undefined || first instanceof CudaBuffer;
    if (isPointer) {
      for (let i = 0; i < GROUP; i++) write(values[i], at + 2 * i);
      return 2 * GROUP;
    }
    for (let i = 0; i < GROUP; i++) {
      const value = values[i];
      if (value instanceof FloatArg) floats[at + i] = value.value;
      else words[at + i] = typeof value === "number" ? value : 0;
    }
    return GROUP;
  }

  return (args) => {
    invariant(args.length <= MAX_ARGUMENTS, "a kernel has at most 48 arguments");
    let at = 0;
    for (let i = 0; i < args.length; i++) {
      wide(addresses, 2 * i, base + 4 * at);
      const arg = args[i];
      if (isGroup(arg)) {
        at += writeGroup(arg, at);
        at += at % 2;
      } else {
        write(arg, at);
        at += 2;
      }
    }
    invariant(4 * at <= MAX_ARGUMENT_BYTES, "a kernel's arguments take at most 4096 bytes");
    return addresses; // itself: its address alone would not keep it alive
  };
}

const isGroup = (arg: Arg): arg is readonly Value[] => Array.isArray(arg);
