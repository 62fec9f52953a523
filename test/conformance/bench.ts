import { expect } from "bun:test";
import { Buffer as Bytes } from "node:buffer";
import type { Backend, Buffer, DType, HostArray } from "../../core/backend.ts";

/** What a buffer is for, which decides its type: see Backend.activation and Backend.master. */
export type Role = "activation" | "master" | "i32";

/**
 * One case's buffers on one backend. Each lies between sentinels, at an address that no vector is
 * aligned to.
 */
export interface Bench {
  readonly backend: Backend;
  /**
   * Numbers that the kernel reads; they must come back unchanged, and what lies around them is NaN.
   */
  readonly input: (role: Role, values: ArrayLike<number>) => Buffer;
  /** Numbers that the kernel sets: NaN before. */
  readonly output: (name: string, role: Role, length: number) => Buffer;
  /** Numbers that the kernel changes or adds to. */
  readonly inOut: (name: string, role: Role, values: ArrayLike<number>) => Buffer;
  /** Adds another buffer to the case's results, which then free it. */
  readonly result: (name: string, buffer: Buffer) => void;
}

export type Results = ReadonlyMap<string, HostArray>;

const GUARD = 7;
const SENTINEL = 1234.5;
const INTEGER_SENTINEL = -987_654;

interface Tracked {
  readonly name: string;
  readonly whole: Buffer;
  readonly before: HostArray;
  readonly input: boolean;
}

/** The nearest bf16, ties to even. */
function roundToBf16(x: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, x);
  const word = bits.getUint32(0);
  if (!Number.isFinite(x)) return x;
  bits.setUint32(0, ((word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000) >>> 0);
  return bits.getFloat32(0);
}

/**
 * Runs a case and returns its results, after checking that nothing but them has changed.
 * Activations begin as numbers that `activation` holds exactly, so that a reference for another
 * backend begins with that one's.
 */
export function runOn(
  backend: Backend,
  body: (bench: Bench) => void,
  activation: DType = backend.activation,
): Results {
  const { live } = backend.memory();
  const tracked: Tracked[] = [];
  const others = new Map<string, Buffer>();

  function place(name: string, role: Role, values: ArrayLike<number>, input: boolean): Buffer {
    const around = role === "i32" ? INTEGER_SENTINEL : input ? Number.NaN : SENTINEL;
    const numbers = new Float64Array(values.length + 2 * GUARD).fill(around);
    const rounded = role === "activation" && activation === "bf16" ? roundToBf16 : Math.fround;
    for (let i = 0; i < values.length; i++) numbers[GUARD + i] = rounded(values[i]!);
    const whole = backend.alloc(role === "i32" ? "i32" : backend[role], numbers.length);
    backend.upload(whole, numbers);
    tracked.push({ name, whole, before: backend.download(whole), input });
    return backend.view(whole, GUARD, values.length);
  }

  body({
    backend,
    input: (role, values) => place(`input ${tracked.length}`, role, values, true),
    output: (name, role, length) =>
      place(name, role, new Float64Array(length).fill(Number.NaN), false),
    inOut: (name, role, values) => place(name, role, values, false),
    result: (name, buffer) => void others.set(name, buffer),
  });

  const results = new Map<string, HostArray>();
  for (const [name, buffer] of others) {
    results.set(name, backend.download(buffer));
    backend.free(buffer);
  }
  for (const { name, whole, before, input } of tracked) {
    const after = backend.download(whole);
    const end = input ? after.length : GUARD;
    const kept = sameBits(after.subarray(0, end), before.subarray(0, end));
    const tail = sameBits(after.subarray(-GUARD), before.subarray(-GUARD));
    expect(kept, `${name} or what lies before it is as it was`).toBe(true);
    expect(tail, `what lies after ${name} is as it was`).toBe(true);
    if (!input) results.set(name, after.slice(GUARD, -GUARD));
    backend.free(whole);
  }
  expect(backend.memory().live, "bytes that the case has left behind").toBe(live);
  return results;
}

/** Whether two arrays hold the same bits, NaNs among them. */
export function sameBits(a: HostArray, b: HostArray): boolean {
  const bytes = (x: HostArray) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  return Bytes.compare(bytes(a), bytes(b)) === 0;
}
