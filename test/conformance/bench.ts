import { expect } from "bun:test";
import { Buffer as Bytes } from "node:buffer";
import type { Backend, Buffer, DType, HostArray } from "../../core/backend.ts";
import { elementBytes } from "../../core/backend/counting.ts";

/** A buffer's role, which determines its dtype: see Backend.activation and Backend.master. */
export type Role = "activation" | "master" | "i32";

/**
 * Where a case's buffers begin in their blocks. "aligned": at 256 bytes, as a block of its own
 * would, or less where the backend's blocks do. "odd": at 7 elements, aligned for no vector.
 * "mixed": as in a run, where activations have blocks of their own and trained values are views of
 * an arena, which begin at any element: masters are odd, all else is aligned.
 */
export type Alignment = "odd" | "aligned" | "mixed";

/** The buffers of one case on one backend. Each lies between sentinels. */
export interface Bench {
  readonly backend: Backend;
  /** Values that the kernel reads and must not change; NaN surrounds them. */
  readonly input: (role: Role, values: ArrayLike<number>) => Buffer;
  /** Values that the kernel sets; initially NaN. */
  readonly output: (name: string, role: Role, length: number) => Buffer;
  /** Values that the kernel changes or adds to. */
  readonly inOut: (name: string, role: Role, values: ArrayLike<number>) => Buffer;
  /** A buffer that kernels set and read, whose contents differ from backend to backend. */
  readonly scratch: (dtype: DType, length: number) => Buffer;
  /** Adds another buffer to the case's results and frees it with them. */
  readonly result: (name: string, buffer: Buffer) => void;
}

/** A case's results by name. */
export type Results = ReadonlyMap<string, HostArray>;

const GUARD = 7;
const SENTINEL = 1234.5;
const INTEGER_SENTINEL = -987_654;

const ALIGNED_BYTES = 256;

/** Elements before a buffer in its block. */
function leadOf(alignment: Alignment, role: Role, dtype: DType): number {
  const isOdd = alignment === "odd" || (alignment === "mixed" && role === "master");
  return isOdd ? GUARD : ALIGNED_BYTES / elementBytes[dtype];
}

interface Tracked {
  readonly name: string;
  readonly whole: Buffer;
  readonly lead: number;
  readonly before: HostArray;
  readonly use: Use;
}

/** What a kernel does with a buffer: reads it, sets it, or sets it as it likes. */
type Use = "input" | "result" | "scratch";

/** Rounds in place to the nearest bf16, ties to even. */
function roundToBf16(values: Float32Array): void {
  const words = new Uint32Array(values.buffer, values.byteOffset, values.length);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if ((word & 0x7f80_0000) === 0x7f80_0000) continue; // NaN and infinity
    words[i] = (word + 0x7fff + ((word >>> 16) & 1)) & 0xffff_0000;
  }
}

/** How a case is run. */
interface RunOnOptions {
  /** The dtype to which activations are rounded; default: the backend's own. */
  readonly activation?: DType;
  /** Default: odd. */
  readonly alignment?: Alignment;
}

/**
 * Runs a case, checks that it has changed nothing but its results, and returns these. Activations
 * start as values that `activation` represents exactly, so that the reference starts with the same
 * values as the backend under test.
 */
export function runOn(
  backend: Backend,
  body: (bench: Bench) => void,
  { activation = backend.activation, alignment = "odd" }: RunOnOptions = {},
): Results {
  const { live } = backend.memory();
  const tracked: Tracked[] = [];
  const others = new Map<string, Buffer>();

  /** A buffer with these values, or with a number of NaNs. */
  function place(
    name: string,
    role: Role,
    values: ArrayLike<number> | number,
    use: Use,
    dtype: DType = role === "i32" ? "i32" : backend[role],
  ) {
    const lead = leadOf(alignment, role, dtype);
    const length = typeof values === "number" ? values : values.length;
    const around = dtype === "i32" ? INTEGER_SENTINEL : use === "input" ? Number.NaN : SENTINEL;
    const numbers =
      dtype === "i32"
        ? new Int32Array(lead + length + GUARD)
        : new Float32Array(lead + length + GUARD);
    numbers.fill(around, 0, lead).fill(around, lead + length);
    const own = numbers.subarray(lead, lead + length);
    if (typeof values === "number") own.fill(Number.NaN);
    else own.set(values);
    const isRounded = role === "activation" && activation === "bf16";
    if (isRounded && own instanceof Float32Array) roundToBf16(own);
    const whole = backend.alloc(dtype, numbers.length);
    backend.upload(whole, numbers);
    tracked.push({ name, whole, lead, before: backend.download(whole), use });
    return backend.view(whole, lead, length);
  }

  body({
    backend,
    input: (role, values) => place(`input ${tracked.length}`, role, values, "input"),
    output: (name, role, length) => place(name, role, length, "result"),
    inOut: (name, role, values) => place(name, role, values, "result"),
    scratch: (dtype, length) => place("scratch", "activation", length, "scratch", dtype),
    result: (name, buffer) => void others.set(name, buffer),
  });

  const results = new Map<string, HostArray>();
  for (const [name, buffer] of others) {
    results.set(name, backend.download(buffer));
    backend.free(buffer);
  }
  for (const { name, whole, lead, before, use } of tracked) {
    const after = backend.download(whole);
    const end = use === "input" ? after.length : lead;
    const kept = sameBits(after.subarray(0, end), before.subarray(0, end));
    const tail = sameBits(after.subarray(-GUARD), before.subarray(-GUARD));
    expect(kept, `${name} or what lies before it is as it was`).toBe(true);
    expect(tail, `what lies after ${name} is as it was`).toBe(true);
    if (use === "result") results.set(name, after.subarray(lead, -GUARD));
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
