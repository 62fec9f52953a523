import { AdaloraError } from "../../core/errors.ts";

/** One thing that was looked at. */
export interface Finding {
  readonly what: string;
  readonly ok: boolean;
  /** What was found, or why it can't be used. */
  readonly found: string;
  /** What to do about a failure. */
  readonly fix?: string;
}

/** Looks at something that is needed: what an AdaloraError says becomes a failure with its hint as the fix. */
export async function look(what: string, find: () => string | Promise<string>): Promise<Finding> {
  try {
    return { what, ok: true, found: await find() };
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    const { message: found, hint } = error;
    return { what, ok: false, found, ...(hint === undefined ? {} : { fix: hint }) };
  }
}
