import { expect, test } from "bun:test";
import { createCountingBackend, elementBytes } from "../../core/backend/counting.ts";
import { type Alignment, runOn } from "./bench.ts";

/** Byte offsets of a case's views in their blocks: of an activation, a master and an i32. */
function offsetsOf(alignment: Alignment) {
  const counting = createCountingBackend({ activation: "bf16", master: "f32" });
  const offsets: number[] = [];
  const backend: typeof counting = {
    ...counting,
    view(buffer, offset, length) {
      offsets.push(offset * elementBytes[buffer.dtype]);
      return counting.view(buffer, offset, length);
    },
  };
  runOn(
    backend,
    ({ input }) => {
      for (const role of ["activation", "master", "i32"] as const) input(role, [1, 2, 3]);
    },
    { alignment },
  );
  return offsets;
}

test("a case's buffers begin where its alignment says", () => {
  expect(offsetsOf("odd")).toEqual([14, 28, 28]);
  expect(offsetsOf("aligned")).toEqual([256, 256, 256]);
  expect(offsetsOf("mixed")).toEqual([256, 28, 256]);
});
