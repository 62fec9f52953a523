import { rmSync } from "node:fs";
import { errors } from "../errors.ts";
import { errorCode, fileError } from "./file-errors.ts";

/**
 * Deletes a file, or a folder with everything in it; does nothing if there is none. Throws E_FILE
 * naming `path`.
 */
export function removeTree(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (error) {
    // Bun reports errors that it does not expect of a removal, ENOSPC among them, as EFAULT.
    if (errorCode(error) === "EFAULT") throw errors.file(path, "cannot be deleted");
    throw fileError(path, error);
  }
}
