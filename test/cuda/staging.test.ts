import { afterAll, expect, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { available } from "../helpers/available.ts";

let emulated: EmulatedBackend | undefined;
const { reason } = await available(async () => (emulated = await createEmulatedBackend()).backend);

const MIB = 2 ** 20;

if (emulated === undefined) test.skip(`uploads of weights (${reason})`, () => {});
else {
  const { backend, control } = emulated;
  afterAll(() => {
    control.reset();
    backend.close();
  });

  test("weights are read while those before are copied, and wait for a free block alone", () => {
    control.reset();
    const n = MIB; // 4 MiB: a pinned block
    const values = [1, 2, 3].map((value) => new Float32Array(n).fill(value));
    const adopted = values.map((each, i) => {
      const bytes = new Uint8Array(each.buffer);
      const weight = backend.adopt({ dtype: "F32", bytes, shape: [n] }, "f32");
      const { waits, pending } = control.report();
      // The third needs the first's block: by then that copy alone must have run.
      expect([i, waits]).toEqual([i, i < 2 ? 0 : 1]);
      expect(pending).toBeGreaterThan(i < 2 ? i : 1);
      return weight;
    });
    for (const [i, weight] of adopted.entries()) {
      const got = backend.download(weight);
      expect([got[0], got.at(-1)]).toEqual([i + 1, i + 1]);
      backend.free(weight);
    }
  });
}
