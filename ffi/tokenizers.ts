import { constants } from "node:os";
import { errors } from "../core/errors.ts";
import { nativePath } from "./embedded.ts";

/** Name of the tokenizer library among the embedded files. */
export const TOKENIZERS = "tokenizers.node";

/**
 * Opens the tokenizer library of a released executable. The build puts this in place of the npm
 * package "tokenizers", whose own loader has Bun unpack the library to /tmp, which may be mounted
 * noexec. Throws E_LIBRARY with the loader's reason.
 */
export function openTokenizers(): Readonly<Record<string, unknown>> {
  const path = nativePath(TOKENIZERS);
  const native: { exports: Readonly<Record<string, unknown>> } = { exports: {} };
  try {
    process.dlopen(native, path, constants.dlopen.RTLD_NOW);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw errors.library("the tokenizer library", [reason], "download the executable again");
  }
  return native.exports;
}
