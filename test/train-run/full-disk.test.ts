import { afterAll, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { commandTest } from "./command.ts";

let unmount = () => {};
afterAll(() => unmount()); // before commandTest's own hook, which removes the folder
const { run, training, path } = commandTest();

/** A file system with room for one small file; undefined for users who may not mount any. */
function onePage(): string | undefined {
  const dir = path("one-page");
  mkdirSync(dir);
  const command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", dir];
  const mounted = Bun.which("mount") !== null && Bun.spawnSync(command).exitCode === 0;
  if (!mounted) return undefined;
  unmount = () => void Bun.spawnSync(["umount", dir]);
  return dir;
}
const disk = onePage();

test.skipIf(disk === undefined)(
  "predict and eval on a full disk name the file, and leave only whole ones (root may mount such a disk)",
  async () => {
    const trained = path("trained");
    expect((await run(training({ out: trained, "max-steps": 9 }))).code).toBe(0);
    const flags = ["--adapter", trained, "--device", "reference"];
    for (const command of ["predict", "eval"]) {
      const out = join(disk ?? "", command);
      const { code, stdout, stderr } = await run([command, ...flags, "--out", out]);
      expect([code, stdout]).toEqual([1, ""]);
      expect(stderr).toMatch(
        /^error {2}.*one-page\/\w+\/[\w.]+: no space is left on the device\n/m,
      );
      for (const name of readdirSync(out)) {
        expect(name).toMatch(/^(predictions\.jsonl|RTE\.tsv)$/); // no temporary file
        expect(readFileSync(join(out, name), "utf8")).toEndWith("\n");
      }
      rmSync(out, { recursive: true });
    }
  },
);
