import { afterAll, beforeAll, describe, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import type { Alignment } from "../conformance/bench.ts";
import { runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";

/** Both alignments; in f32 one, since the kernels are the same but for loads and stores. */
const ALIGNMENTS = { f32: ["odd"], bf16: ["aligned", "odd"] } as const satisfies Record<
  string,
  readonly Alignment[]
>;

for (const dtype of ["f32", "bf16"] as const) {
  let emulated: EmulatedBackend | undefined;
  const { reason } = await available(
    async () => (emulated = await createEmulatedBackend(dtype)).backend,
  );
  if (emulated !== undefined) {
    const { backend, control } = emulated;
    beforeAll(() => control.reset());
    afterAll(() => backend.close());

    // The orders that differ most: the lowest thread runs as far as it gets and work is done at
    // once; then the highest does, and work is as late as it may be.
    describe("under two orders of threads, with the same bits", () => {
      runConformance(backend, {
        alignments: ALIGNMENTS[dtype],
        prepare(call) {
          control.set("order", call === "first" ? 2 : 3);
          control.set("early", call === "first" ? 1 : 0);
        },
      });
    });
  } else
    test.skip(`the emulated cuda device agrees with the reference in ${dtype} (${reason})`, () => {});
}
