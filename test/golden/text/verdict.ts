/** What a checker says about a golden file. */
export interface Verdict {
  readonly status: "pass" | "fail" | "skip";
  readonly reason?: string;
  /** The largest error of each quantity: an absolute difference, or the number of records that differ. */
  readonly worst: Readonly<Record<string, number>>;
}

/** Checks one file of a golden folder. */
export type FileCheck = (folder: GoldenFolder, file: string) => Promise<Verdict> | Verdict;

/** A folder of goldens, and the folder with the tokenizers and data that it was made from. */
export interface GoldenFolder {
  readonly dir: string;
  readonly shared: string;
}

/** Gathers what is wrong with a file; at most a few complaints are shown. */
export class Findings {
  readonly #worst: Record<string, number> = {};
  readonly #complaints: string[] = [];
  #count = 0;

  /** Counts a quantity as compared, so that it is in the verdict with error 0. */
  compared(quantity: string): void {
    this.#worst[quantity] ??= 0;
  }

  /** The values must be equal, deeply; a difference counts 1. */
  equal(quantity: string, where: string, got: unknown, want: unknown): void {
    this.compared(quantity);
    if (Bun.deepEquals(got, want, true)) return;
    this.#worst[quantity] = (this.#worst[quantity] ?? 0) + 1;
    this.complain(`${where}: ${quantity} is ${brief(got)}, not ${brief(want)}`);
  }

  /** Numbers within `tolerance` of each other, relative to the expected one or `floor`; NaN equals NaN. */
  close(
    quantity: string,
    where: string,
    got: number,
    want: number,
    { tolerance, floor = 1 }: { readonly tolerance: number; readonly floor?: number },
  ): void {
    this.compared(quantity);
    if (Object.is(got, want) || got === want) return;
    const error = Math.abs(got - want) / Math.max(floor, Math.abs(want));
    this.#worst[quantity] = Math.max(
      this.#worst[quantity] ?? 0,
      Number.isNaN(error) ? Infinity : error,
    );
    // written so that NaN fails
    if (!(error <= tolerance)) this.complain(`${where}: ${quantity} is ${got}, not ${want}`);
  }

  complain(what: string): void {
    this.#count++;
    if (this.#complaints.length < 3) this.#complaints.push(what);
  }

  /** Of a file that lists where other conversions differ: it may be empty. */
  verdictOfDifferences(records: number): Verdict {
    return records === 0 && this.#count === 0
      ? { status: "pass", reason: "the file is empty: no conversion differs", worst: {} }
      : this.verdict(records);
  }

  /** `records` were compared: a file without any can't pass. */
  verdict(records: number, note?: string): Verdict {
    // JSON has no Infinity
    const worst = Object.fromEntries(
      Object.entries(this.#worst).map(([name, error]) => [
        name,
        Number.isFinite(error) ? error : 1e308,
      ]),
    );
    if (records === 0) return { status: "fail", reason: "no records in the file", worst };
    if (this.#count > 0) {
      const more = this.#count - this.#complaints.length;
      const reason = this.#complaints.join("; ") + (more > 0 ? `; and ${more} more` : "");
      return { status: "fail", reason, worst };
    }
    return { status: "pass", ...(note === undefined ? {} : { reason: note }), worst };
  }
}

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 160 ? `${text.slice(0, 160)}…` : text;
}
