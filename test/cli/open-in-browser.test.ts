import { afterAll, expect, test } from "bun:test";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openInBrowser } from "../../cli/open-in-browser.ts";

const scratch = mkdtempSync(join(tmpdir(), "adalora-open-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test("gives the file to the first opener that is there, as one word", async () => {
  const [opener, seen] = [join(scratch, "opener"), join(scratch, "seen")];
  writeFileSync(opener, `#!/bin/sh\nprintf '%s|' "$@" > ${seen}.part && mv ${seen}.part ${seen}\n`);
  chmodSync(opener, 0o755);
  const file = "/a folder/report; rm -rf x.html";
  expect(openInBrowser(file, [join(scratch, "none"), opener])).toBe(true);
  while (!existsSync(seen)) await Bun.sleep(20);
  expect(readFileSync(seen, "utf8")).toBe(`${file}|`);
});

test("is false where there is none", () => {
  expect(openInBrowser("report.html", [join(scratch, "none")])).toBe(false);
});
