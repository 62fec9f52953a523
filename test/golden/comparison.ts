/** The outcome of one case, as one JSON line. */
export interface CaseResult {
  readonly status: "pass" | "fail" | "skip";
  readonly reason?: string;
  /** Largest error of each quantity. */
  readonly worst?: Readonly<Record<string, number>>;
}

/** Collects the largest error of each quantity, and the first thing that is out of tolerance. */
export class Comparison {
  readonly #worst: Record<string, number> = {};
  readonly #least: number;
  #failure: string | undefined;

  /** `least`: errors of tensors are relative to their largest number, or to this where it is larger. */
  constructor({ least }: { readonly least: number }) {
    this.#least = least;
  }

  /** |got - want| of every number, against `tolerance` times the larger of `least` and the largest |want|. */
  close(
    quantity: string,
    got: ArrayLike<number>,
    want: ArrayLike<number>,
    tolerance: number,
    what = quantity,
  ): void {
    if (got.length !== want.length) {
      this.fail(`${what}: ${got.length} numbers, ${want.length} are due`);
      return;
    }
    let scale = this.#least;
    for (let i = 0; i < want.length; i++) scale = Math.max(scale, Math.abs(want[i]!));
    let error = 0;
    for (let i = 0; i < want.length; i++) {
      const difference = Math.abs(got[i]! - want[i]!);
      error = Math.max(error, Number.isNaN(difference) ? Infinity : difference); // NaN is never close
    }
    this.#note(quantity, error / scale, tolerance, what);
  }

  /** |got - want| / |want| of one number. */
  relative(quantity: string, got: number, want: number, tolerance: number, what = quantity): void {
    const error = Math.abs(got - want) / Math.max(Math.abs(want), 1e-12);
    this.#note(
      quantity,
      Number.isNaN(error) ? Infinity : error,
      tolerance,
      `${what}: ${got}, due ${want}`,
    );
  }

  /** The same value, to the letter. */
  same(quantity: string, got: unknown, want: unknown, what = quantity): void {
    const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
    this.#note(quantity, a === b ? 0 : 1, 0, `${what}: ${a}, due ${b}`);
  }

  fail(reason: string): void {
    this.#failure ??= reason;
  }

  get result(): CaseResult {
    const worst = { ...this.#worst };
    if (this.#failure !== undefined) return { status: "fail", reason: this.#failure, worst };
    if (Object.keys(worst).length === 0)
      return { status: "fail", reason: "nothing was compared", worst };
    return { status: "pass", worst };
  }

  #note(quantity: string, error: number, tolerance: number, what: string): void {
    this.#worst[quantity] = Math.max(this.#worst[quantity] ?? 0, error);
    if (!(error <= tolerance))
      this.fail(`${what}: error ${error.toExponential(2)} is over ${tolerance}`);
  }
}
