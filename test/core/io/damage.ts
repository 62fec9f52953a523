import { rmSync, writeFileSync } from "node:fs";
import { AdaloraError } from "../../../core/errors.ts";

/**
 * Runs `read`; returns its AdaloraError, or undefined when it succeeds. Any other error fails the
 * test.
 */
function attempt(read: () => unknown, what: string): AdaloraError | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    if (error instanceof AdaloraError) return error;
    throw new Error(`${what}: not an AdaloraError`, { cause: error });
  }
}

function* damaged(bytes: Uint8Array): Generator<readonly [what: string, bytes: Uint8Array]> {
  for (let i = 0; i < bytes.length; i++) {
    const mask = i % 9 === 8 ? 0xff : 1 << (i % 9);
    const copy = bytes.slice();
    copy[i]! ^= mask;
    yield [`byte ${i} ^ ${mask}`, copy];
  }
}

/**
 * Reads many damaged copies of a file: truncated to every length (which must be refused), and each
 * byte changed in one bit or in all (which must be read or refused, but never crash). Returns the
 * number of refused flips.
 */
export function readDamaged(
  path: string,
  bytes: Uint8Array,
  read: (path: string) => unknown,
): number {
  // A new file each time: a mapped file must not change.
  const readAs = (what: string, content: Uint8Array) => {
    rmSync(path, { force: true });
    writeFileSync(path, content);
    return attempt(() => read(path), what);
  };
  for (let length = 0; length < bytes.length; length++) {
    if (readAs(`cut to ${length}`, bytes.subarray(0, length)) === undefined) {
      throw new Error(`cut to ${length} of ${bytes.length} bytes, it was still read`);
    }
  }
  return [...damaged(bytes)].filter(([what, content]) => readAs(what, content) !== undefined)
    .length;
}
