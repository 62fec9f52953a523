import { expect, test } from "bun:test";
import { editDistance, nearest } from "../../core/nearest.ts";

test.each([
  ["", "abc", 3, "insertions"],
  ["abc", "", 3, "deletions"],
  ["kitten", "sitting", 3, "two replacements and an insertion"],
  ["target-rnak", "target-rank", 1, "a swap is one edit"],
  ["ca", "abc", 3, "a swapped pair is not edited again"],
] as const)("%s to %s: %p (%s)", (a, b, distance) => {
  expect(editDistance(a, b)).toBe(distance);
});

test("the nearest word must be near: two edits, or a third of a long word", () => {
  expect(nearest("tsk", ["data", "task"])).toBe("task");
  expect(nearest("xyz", ["data", "task"])).toBeUndefined();
  expect(nearest("per-device-batch-size", ["per-device-train-batch-size"])).toBe(
    "per-device-train-batch-size",
  );
});
