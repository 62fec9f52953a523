import { expect, test } from "bun:test";
import { classWarnings, countClasses } from "../../../core/data/class-names.ts";

const counted = (counts: Readonly<Record<string, number>>) =>
  Object.entries(counts).map(([name, rows]) => ({ name, rows }));

test("rows are counted by class, also of a class without any", () => {
  expect(countClasses(["no", "yes", "maybe"], [1, 0, 1])).toEqual(
    counted({ no: 1, yes: 2, maybe: 0 }),
  );
});

test.each([
  [{ good: 5, bad: 1 }, ['the class "bad" has a single training row']],
  [{ good: 5, bad: 0 }, ['the class "bad" has no training row']],
  [{ a: 1, b: 1, c: 5 }, ['2 classes have a single training row: "a", "b"']],
  [
    { good: 5, Good: 2 },
    ['the classes "good" (5) and "Good" (2) differ in case or spaces alone: is one a typo?'],
  ],
  [
    { positive: 9, postive: 2 },
    ['the classes "positive" (9) and "postive" (2) differ in one letter alone: is one a typo?'],
  ],
  [{ good: 5, NaN: 2, banana: 3 }, ['the class "NaN" (2) looks like a missing label']],
  [{ A: 3, B: 3, pos: 4, pas: 4 }, []],
  [{ "class 1": 3, "class 2": 3, "2019": 2, "2020": 2 }, []],
  [{ entailment: 9, not_entailment: 9 }, []],
])("of %j: %j", (classes, warnings) => {
  expect(classWarnings(counted(classes))).toEqual(warnings);
});
