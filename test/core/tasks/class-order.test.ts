import { describe, expect, test } from "bun:test";
import { classOrder } from "../../../core/tasks/class-order.ts";
import { inTaskOrder } from "../../../core/tasks/sequence-outputs.ts";

const expected = ["entailment", "neutral", "contradiction"];

describe("a model's classes", () => {
  test.each([
    [["entailment", "neutral", "contradiction"], undefined, "in the task's order"],
    [["CONTRADICTION", "Entailment", "neutral"], [1, 2, 0], "in another"],
    [["LABEL_0", "LABEL_1", "LABEL_2"], undefined, "without names"],
    [["0", "1", "2"], undefined, "by number"],
  ])("%j: %p (%s)", (own, columns) => {
    expect(classOrder(own, expected, "config.json")).toEqual({ columns });
  });

  test("match a task's names in any case", () => {
    const upper = ["Entailment", "NEUTRAL", "Contradiction"];
    const own = ["neutral", "contradiction", "entailment"];
    expect(classOrder(own, upper, "config.json")).toEqual({ columns: [2, 0, 1] });
  });

  test.each([
    [["US", "other", "us"], undefined, "the same"],
    [["us", "other", "US"], [2, 1, 0], "in another order"],
  ])("that differ in case alone stay apart: %j (%s)", (own, columns) => {
    expect(classOrder(own, ["US", "other", "us"], "config.json")).toEqual({ columns });
  });

  test("with one name for two are taken in their order, with a warning", () => {
    const { columns, warning } = classOrder(["A", "a"], ["a", "b"], "config.json");
    expect([columns, warning]).toEqual([undefined, expect.stringContaining("are read as a, b")]);
  });

  test("of other names are taken in their order, with a warning", () => {
    expect(classOrder(["a", "neutral", "b"], expected, "config.json")).toEqual({
      columns: undefined,
      warning:
        "config.json: the model's classes a, neutral, b are read as entailment, neutral, contradiction, in this order",
    });
  });

  test("of another number are an error", () => {
    expect(() => classOrder(["no", "yes"], expected, "config.json")).toThrow(
      "config.json: the model has 2 classes, the task 3 (entailment, neutral, contradiction)",
    );
  });
});

test("predictions follow: columns and values in the task's order, row by row", () => {
  const predictions = {
    width: 3,
    logits: Float64Array.from([1, 2, 3, 9, 8, 7]),
    values: Float64Array.from([2, 0]),
  };
  expect(inTaskOrder(predictions, { columns: [1, 2, 0] })).toEqual({
    width: 3,
    logits: Float64Array.from([2, 3, 1, 8, 7, 9]),
    values: Float64Array.from([1, 2]),
  });
  expect(inTaskOrder(predictions, { columns: undefined })).toBe(predictions);
});
