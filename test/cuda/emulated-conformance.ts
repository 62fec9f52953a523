import { afterAll, beforeAll, describe, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import type { Alignment } from "../conformance/bench.ts";
import { cases } from "../conformance/cases.ts";
import { runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";

/** Sizes at which blocks of keys end on a CPU: here they take long and show little. */
const LARGE = /several blocks of keys|many heads/;

/**
 * Tests the emulated device in a dtype under the two orders that differ most: the lowest thread
 * runs as far as it gets and work is done at once; then the highest does, and work is as late as it
 * may be. With one alignment both must set the same bits; of two, each has an order of its own.
 * Large cases are run under the second order alone.
 */
export async function conformEmulated(
  dtype: "f32" | "bf16",
  alignments: readonly [Alignment, Alignment?],
): Promise<void> {
  let emulated: EmulatedBackend | undefined;
  const { reason } = await available(
    async () => (emulated = await createEmulatedBackend(dtype)).backend,
  );
  if (emulated === undefined)
    return test.skip(`the emulated cuda device in ${dtype} (${reason})`, () => {});
  const { backend, control } = emulated;
  beforeAll(() => control.reset());
  afterAll(() => backend.close());
  const prepare = (call: "first" | "repeated") => {
    control.set("order", call === "first" ? 2 : 3);
    control.set("early", call === "first" ? 1 : 0);
  };
  const names = cases.map(({ name }) => name);
  const [first, second] = alignments;
  describe("under two orders of threads", () =>
    runConformance(backend, {
      only: names.filter((name) => !LARGE.test(name)),
      alignments: second === undefined ? [first] : [first, second],
      alternate: second !== undefined,
      prepare,
    }));
  describe("under one order of threads", () =>
    runConformance(backend, {
      only: names.filter((name) => LARGE.test(name)),
      alignments: [second ?? first],
      alternate: true,
      prepare: () => prepare("repeated"),
    }));
}
