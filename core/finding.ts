import { AdaloraError } from "./errors.ts";

/** The result of one check of `adalora doctor`. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  /** What was found, or why it can't be used. */
  readonly found: string;
  /** What to do about a failure. */
  readonly fix?: string;
}

/** Runs one check. An AdaloraError becomes a failure: its message is `found`, its hint the fix. */
export async function check(what: string, find: () => string | Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, found: await find() };
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    const { message: found, hint } = error;
    return { what, ok: false, found, ...(hint === undefined ? {} : { fix: hint }) };
  }
}
