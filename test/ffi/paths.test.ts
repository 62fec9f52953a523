import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { nativeFolder } from "../../ffi/paths.ts";
import packageJson from "../../package.json" with { type: "json" };

const root = mkdtempSync(join(tmpdir(), "adalora-paths-"));
afterAll(() => rmSync(root, { recursive: true }));

test("native files are kept in the package, or in the user's cache where it can't be written", () => {
  const env = { XDG_CACHE_HOME: "/cache" };
  expect(nativeFolder(root, env)).toBe(join(root, ".native"));
  const absent = join(root, "absent"); // neither root nor another user can write below it
  const inCache = `/cache/adalora/package-${packageJson.version}`;
  expect(nativeFolder(absent, env)).toBe(inCache);
});

test("a set-up folder is used even if it is read-only", () => {
  const at = join(root, "set-up");
  mkdirSync(join(at, ".native"), { recursive: true });
  writeFileSync(join(at, ".native/ready"), "");
  chmodSync(join(at, ".native"), 0o555);
  expect(nativeFolder(at, { XDG_CACHE_HOME: "/cache" })).toBe(join(at, ".native"));
  chmodSync(join(at, ".native"), 0o755);
});
