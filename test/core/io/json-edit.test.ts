import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { editedJson } from "../../../core/io/json-edit.ts";

test("numbers keep their spelling, and fields are set", () => {
  const dir = mkdtempSync(join(tmpdir(), "adalora-json-"));
  const path = join(dir, "config.json");
  writeFileSync(
    path,
    '{"dropout": 0.0, "eps": 1e-07, "big": 12345678901234567890, "n": {"x": [2.0]}, "old": 1}',
  );
  expect(editedJson(path, { old: "new", more: [0.5] })).toBe(`{
  "dropout": 0.0,
  "eps": 1e-07,
  "big": 12345678901234567890,
  "n": {
    "x": [
      2.0
    ]
  },
  "old": "new",
  "more": [
    0.5
  ]
}
`);
  rmSync(dir, { recursive: true });
});
