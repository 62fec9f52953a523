import { expect } from "bun:test";
import { Buffer as Bytes } from "node:buffer";
import type { Backend, Buffer, DType, HostArray } from "../../core/backend.ts";

/** A buffer's role, which determines its dtype: see Backend.activation and Backend.master. */
export type Role = "activation" | "master" | "i32";

/**
 * The buffers of one case on one backend. Each lies between sentinels, at an address that is not
 * aligned for vectors.
 */
export interface Bench {
  readonly backend: Backend;
  /** Values that the kernel reads and must not change; NaN surrounds them. */
  readonly input: (role: Role, values: ArrayLike<number>) => Buffer;
  /** Values that the kernel sets; initially NaN. */
  readonly output: (name: string, role: Role, length: number) => Buffer;
  /** Values that the kernel changes or adds to. */
  readonly inOut: (name: string, role: Role, values: ArrayLike<number>) => Buffer;
  /** Adds another buffer to the case's results and frees it with them. */
  readonly result: (name: string, buffer: Buffer) => void;
}

/** A case's results by name. */
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

/** One f32 and its bits: cases round millions of values, each too cheap for a buffer of its own. */
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The nearest bf16, ties to even. */
function roundToBf16(x: number): number {
  if (!Number.isFinite(x)) return x;
  float[0] = x;
  const word = bits[0]!;
  bits[0] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff0000;
  return float[0];
}

/**
 * Runs a case, checks that it has changed nothing but its results, and returns these. Activations
 * start as values that `activation` represents exactly, so that the reference starts with the same
 * values as the backend under test.
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

/** Whether two arrays have the same bits, including those of NaNs. */
export function sameBits(a: HostArray, b: HostArray): boolean {
  const bytes = (x: HostArray) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);
  return Bytes.compare(bytes(a), bytes(b)) === 0;
}
