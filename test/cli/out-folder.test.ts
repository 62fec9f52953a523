import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkOut, defaultOut } from "../../cli/out-folder.ts";
import { clearRun } from "../../core/train/run-folder.ts";

const fresh = { resume: false, overwrite: false };
let out = "";

beforeEach(() => {
  out = mkdtempSync(join(tmpdir(), "adalora-out-"));
});
afterEach(() => rmSync(out, { recursive: true }));

function holdRun(): void {
  mkdirSync(join(out, "checkpoints", "step-5"), { recursive: true });
  writeFileSync(join(out, "config.json"), "{}");
  writeFileSync(join(out, "notes.txt"), "mine");
}

describe("a folder", () => {
  test("that is new, empty or holds other things is taken", () => {
    checkOut(join(out, "new"), fresh);
    checkOut(out, fresh);
    writeFileSync(join(out, "notes.txt"), "mine");
    checkOut(out, fresh);
    expect(readdirSync(out)).toEqual(["notes.txt"]);
  });

  test("that holds a run is refused, with the ways out", () => {
    holdRun();
    expect(() => checkOut(out, fresh)).toThrow(
      expect.objectContaining({
        message: `${out} already holds a run`,
        hint: "--resume goes on with it, --overwrite replaces it, --out DIR writes elsewhere",
      }),
    );
  });

  test("that holds a run is taken to resume or overwrite, and not yet touched", () => {
    holdRun();
    checkOut(out, { resume: true, overwrite: false });
    checkOut(out, { resume: false, overwrite: true });
    expect(readdirSync(out).toSorted()).toEqual(["checkpoints", "config.json", "notes.txt"]);
  });

  test("is not a file", () => {
    const path = join(out, "file");
    writeFileSync(path, "");
    expect(() => checkOut(path, fresh)).toThrow(`${path} is a file, not a folder`);
  });
});

test("resuming and overwriting exclude each other", () => {
  expect(() => checkOut(out, { resume: true, overwrite: true })).toThrow(
    "--resume and --overwrite exclude each other: give one",
  );
});

test("clearing removes the run and nothing else", () => {
  holdRun();
  clearRun(out);
  expect(readdirSync(out)).toEqual(["notes.txt"]);
  clearRun(join(out, "absent"));
  expect(existsSync(join(out, "absent"))).toBe(false);
});

test("a run that names no folder gets one of its own", () => {
  expect(defaultOut("rte", new Date(2026, 0, 31, 5, 4, 1))).toBe("runs/rte-20260131-050401");
});
