import { describe, expect, test } from "bun:test";
import { ignoredLabel } from "../../../core/kernels/losses.ts";
import { packTargets } from "../../../core/nn/source-target-batch.ts";

const ids = { start: 2, pad: 1 };
const NONE = ignoredLabel;

describe("packTargets", () => {
  test("targets are shifted right: the row of each token has the next token as its label", () => {
    const { target, labels, weight } = packTargets([[7, 8, 2], [9]], ids);
    expect([...target.ids]).toEqual([2, 7, 8, 2]);
    expect([...labels]).toEqual([7, 8, 2, 9]);
    expect([...target.offsets]).toEqual([0, 3, 4]);
    expect([...target.positions]).toEqual([0, 1, 2, 0]);
    expect(weight).toBe(4);
  });

  test("ignored labels at the end have no row", () => {
    const { target, labels, weight } = packTargets([[7, 2, NONE, NONE], [NONE], [5]], ids);
    expect([...target.ids]).toEqual([2, 7, 2]);
    expect([...target.offsets]).toEqual([0, 2, 2, 3]);
    expect([...labels]).toEqual([7, 2, 5]);
    expect(weight).toBe(3);
  });

  test("an ignored label before the end keeps its row and is read as padding, as in transformers", () => {
    const { target, labels, weight } = packTargets([[NONE, 7, NONE, 8]], ids);
    expect([...target.ids]).toEqual([2, 1, 7, 1]);
    expect([...labels]).toEqual([NONE, 7, NONE, 8]);
    expect(weight).toBe(2);
  });
});
