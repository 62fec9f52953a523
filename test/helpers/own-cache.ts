import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Gives the tests of a file a cache folder of their own; returns its parent, what XDG_CACHE_HOME names. */
export function ownCache(): string {
  const home = mkdtempSync(join(tmpdir(), "adalora-cache-"));
  const before = process.env["XDG_CACHE_HOME"];
  beforeAll(() => void (process.env["XDG_CACHE_HOME"] = home));
  afterAll(() => {
    if (before === undefined) delete process.env["XDG_CACHE_HOME"];
    else process.env["XDG_CACHE_HOME"] = before;
    rmSync(home, { recursive: true, force: true });
  });
  return home;
}
