import type { LengthFlag } from "../data/summary-features.ts";
import type { TokenLengths } from "./task.ts";

/** The lengths of texts that are truncated to `limit` tokens. `full`: before, `kept`: after that. */
export function truncatedLengths(
  of: "text" | "summary",
  flag: LengthFlag,
  { full, kept, limit }: { full: Int32Array | undefined; kept: Int32Array; limit: number },
): TokenLengths {
  const tokens = full ?? kept;
  const tooLong = tokens.reduce((sum, length, i) => sum + (length > kept[i]! ? 1 : 0), 0);
  return { of, flag, limit, tokens, tooLong };
}
