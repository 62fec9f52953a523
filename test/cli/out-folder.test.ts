import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkOut, checkSpace, configIn, defaultOut } from "../../cli/out-folder.ts";
import { AdaloraError } from "../../core/errors.ts";
import { clearRun, runBytes } from "../../core/run/run-folder.ts";

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
        hint: "--resume continues it, --overwrite replaces it, --out DIR writes elsewhere",
      }),
    );
  });

  test("that holds a run is taken to resume or overwrite, and not yet touched", () => {
    holdRun();
    checkOut(out, { resume: true, overwrite: false });
    checkOut(out, { resume: false, overwrite: true });
    expect(readdirSync(out).toSorted()).toEqual(["checkpoints", "config.json", "notes.txt"]);
  });

  test("must have room for the run, less what the run before it takes there", () => {
    holdRun();
    checkSpace(join(out, "new", "deep"), 1);
    expect(runBytes(out)).toBe(2); // "{}" of config.json: notes.txt is not the run's
    expect(() => checkSpace(out, 1e18)).toThrow(
      /the run's files need 888 PiB|the run's files need 909495 TiB, .* are free/,
    );
  });

  test("to be resumed without a recipe holds config.json", () => {
    expect(() => configIn(out)).toThrow(`${out} holds no config.json to resume from`);
    holdRun();
    expect(configIn(out)).toBe(join(out, "config.json"));
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

test("clearing removes the run, what a killed one left half-written, and nothing else", () => {
  holdRun();
  for (const name of [".config.json.tmp-123", "best_model", "report.html", "predictions_x.jsonl"])
    writeFileSync(join(out, name), "");
  mkdirSync(join(out, ".adapter.replaced"));
  writeFileSync(join(out, ".notes.tmp-1"), "");
  clearRun(out);
  expect(readdirSync(out).toSorted()).toEqual([".notes.tmp-1", "notes.txt"]);
  clearRun(join(out, "absent"));
  expect(existsSync(join(out, "absent"))).toBe(false);
});

test("a folder without a run to resume says what it is instead", () => {
  rmSync(out, { recursive: true });
  expect(() => configIn(out)).toThrow(`${out} does not exist: there is no run to resume`);
  const hintOf = () => {
    try {
      configIn(out);
    } catch (error) {
      return error instanceof AdaloraError ? error.hint : error;
    }
    return undefined;
  };
  mkdirSync(out);
  expect(hintOf()).toContain("name the run's recipe or file");
  mkdirSync(join(out, "seed-1"));
  expect(hintOf()).toContain("runs of several seeds");
  writeFileSync(join(out, "config.json"), "{}");
  expect(configIn(out)).toBe(join(out, "config.json"));
});

test("a run that names no folder gets one of its own", () => {
  expect(defaultOut("rte", new Date(2026, 0, 31, 5, 4, 1))).toBe("runs/rte-20260131-050401");
});
