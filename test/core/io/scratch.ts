import { afterAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { AdaloraError } from "../../../core/errors.ts";

/** A temporary folder that is removed after the tests of the file. */
export function scratchFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), "adalora-io-"));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** Path of a committed file of test/fixtures/io. */
export const fixture = (name: string) => resolve(import.meta.dir, "../../fixtures/io", name);

/** The AdaloraError that `run` throws; anything else, or nothing, fails the test. */
export function failure(run: () => unknown): AdaloraError {
  try {
    run();
  } catch (error) {
    if (error instanceof AdaloraError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** The same for a promise. */
export async function rejection(promise: Promise<unknown>): Promise<AdaloraError> {
  const error: unknown = await promise.then(
    () => new Error("nothing was thrown"),
    (reason: unknown) => reason,
  );
  if (error instanceof AdaloraError) return error;
  throw error;
}
