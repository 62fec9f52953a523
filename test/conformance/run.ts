import { describe, expect, test } from "bun:test";
import type { Backend, DType, HostArray } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { type Alignment, type Results, runOn, sameBits } from "./bench.ts";
import { type Case, cases } from "./cases.ts";

/**
 * The error tolerance by dtype of activations, relative to |value| + root mean square of its
 * buffer.
 */
const TOLERANCE: Readonly<Record<Exclude<DType, "i32">, number>> = {
  f64: 1e-13,
  f32: 5e-6,
  bf16: 1e-2,
};

/**
 * The same for the gradients of attention in bf16, where probabilities and gradients of scores are
 * rounded before products whose sums cancel.
 */
const ROUNDED_SUMS = { cases: /ttentionBackward /, bf16: 1e-1 };

interface Skip {
  readonly reason: string;
  /** Names of cases, or their prefixes. */
  readonly cases: readonly string[];
}

/** Each case's buffers begin at each of these; see Alignment. */
const ALIGNMENTS: readonly Alignment[] = ["odd", "aligned", "mixed"];

/** What of a backend is tested. */
export interface ConformanceOptions {
  /** Cases that the backend does not pass, and why. */
  readonly skip?: readonly Skip[];
  /** Only the cases with these names. */
  readonly only?: readonly string[];
  /** Fewer for a backend whose kernels can't depend on them. */
  readonly alignments?: readonly Alignment[];
  /** Is called before a case's first call and before the repeated one, which must set the same bits. */
  readonly prepare?: (call: "first" | "repeated") => void;
  /**
   * Calls each case once at each alignment, those after the first as `prepare` says for repeated
   * calls: in less time, and without a comparison of bits.
   */
  readonly alternate?: boolean;
  /** Only what a kernel reads and writes, for a run under a sanitizer: one call of each case. */
  readonly memoryOnly?: boolean;
}

/**
 * Tests a backend against the reference, case by case and at each alignment: values, memory that a
 * kernel must not touch, and that repeating a call gives the same bits.
 */
export function runConformance(backend: Backend, options: ConformanceOptions = {}): void {
  const { skip = [], only, memoryOnly = false } = options;
  const reference = createReferenceBackend();
  const claim = memoryOnly ? "stays within its memory" : "agrees with the reference";
  describe(`${backend.name} in ${backend.activation} ${claim}`, () => {
    for (const one of cases) {
      const { name } = one;
      if (only !== undefined && !only.includes(name)) continue;
      const skipped = skip.find((s) => s.cases.some((each) => name.startsWith(each)));
      test.skipIf(skipped !== undefined)(skipped ? `${name} (${skipped.reason})` : name, () => {
        if (memoryOnly) runOn(backend, one.run);
        else checkConformance(backend, reference, one, options);
      });
    }
  });
}

/** Checks one case as `runConformance` does; returns its largest error. Throws where it fails. */
export function checkConformance(
  backend: Backend,
  reference: Backend,
  { name, run }: Case,
  options: Pick<ConformanceOptions, "alignments" | "alternate" | "prepare"> = {},
): number {
  const { alignments = ALIGNMENTS, alternate = false, prepare } = options;
  const type = backend.activation;
  const want = runOn(reference, run, { activation: type });
  let worst = 0;
  for (const alignment of alignments) {
    const isFirst = alignment === alignments[0];
    prepare?.(isFirst || !alternate ? "first" : "repeated");
    const got = runOn(backend, run, { alignment });
    worst = Math.max(worst, compare(got, want, toleranceOf(name, type), alignment));
    if (!isFirst || alternate) continue;
    prepare?.("repeated");
    for (const [result, again] of runOn(backend, run, { alignment })) {
      const same = sameBits(again, got.get(result) ?? again.subarray(1));
      expect(same, `the same call again sets ${result} to the same bits`).toBe(true);
    }
  }
  return worst;
}

function toleranceOf(name: string, type: DType): number {
  if (type === "i32") return 0;
  return type === "bf16" && ROUNDED_SUMS.cases.test(name) ? ROUNDED_SUMS.bf16 : TOLERANCE[type];
}

/** Returns the largest error. */
function compare(got: Results, want: Results, tolerance: number, alignment: Alignment): number {
  expect([...got.keys()]).toEqual([...want.keys()]);
  let largest = 0;
  for (const [name, numbers] of want) {
    const worst = worstOf(got.get(name) ?? [], numbers);
    if (worst.error > tolerance || Number.isNaN(worst.error)) {
      const { index, error } = worst;
      const pair = `${got.get(name)?.[index]}, want ${numbers[index]}`;
      const place = `${name}[${index}] of ${alignment} buffers`;
      expect.unreachable(`${place} is ${pair}: error ${error.toExponential(1)}`);
    }
    largest = Math.max(largest, worst.error);
  }
  return largest;
}

/** The largest error relative to |want| + root mean square of want; NaN equals NaN. */
function worstOf(got: ArrayLike<number>, want: HostArray): { index: number; error: number } {
  let finite = 0;
  let squares = 0;
  for (let i = 0; i < want.length; i++) {
    if (!Number.isFinite(want[i])) continue;
    finite += 1;
    squares += want[i]! * want[i]!;
  }
  const size = Math.sqrt(squares / Math.max(finite, 1));
  let worst = { index: 0, error: got.length === want.length ? 0 : Number.NaN };
  for (let i = 0; i < want.length; i++) {
    if (Object.is(got[i], want[i])) continue;
    const error = Math.abs(got[i]! - want[i]!) / (Math.abs(want[i]!) + size || 1);
    if (Number.isNaN(error)) return { index: i, error };
    if (error > worst.error) worst = { index: i, error };
  }
  return worst;
}
