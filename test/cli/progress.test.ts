import { expect, test } from "bun:test";
import { duration, progressLine } from "../../cli/progress.ts";

test("a line of progress keeps its width while steps count up", () => {
  const state = {
    steps: 3900,
    loss: 0.51239,
    budget: 282,
    tokensPerSecond: 1240.4,
    secondsLeft: 4329,
  };
  expect(progressLine({ ...state, step: 39 })).toBe(
    "step   39/3900    1%  loss 0.5124  budget 282  1,240 tokens/s  1 h 12 min left",
  );
  expect(progressLine({ ...state, step: 3899 })).toStartWith("step 3899/3900   99%  loss");
});

test.each([
  [0, "0 s"],
  [59.4, "59 s"],
  [59.6, "1 min"],
  [725, "12 min 5 s"],
  [3600, "1 h"],
  [12_000, "3 h 20 min"],
  [187_300, "2 d 4 h"],
] as const)("%p seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});
