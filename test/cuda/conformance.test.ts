import { afterAll, beforeAll, describe, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";

let emulated: EmulatedBackend | undefined;
const { reason } = await available(async () => (emulated = await createEmulatedBackend()).backend);
if (emulated !== undefined) {
  const { backend, control } = emulated;
  afterAll(() => backend.close());

  describe("the lowest thread runs as far as it gets, work is done at once", () => {
    beforeAll(() => {
      control.reset();
      control.set("order", 2);
      control.set("early", 1);
    });
    runConformance(backend, { alignments: ["odd"] });
  });

  describe("the highest thread runs as far as it gets, work is as late as it may be", () => {
    beforeAll(() => {
      control.set("order", 3);
      control.set("early", 0);
    });
    runConformance(backend, { alignments: ["mixed"] });
  });
} else test.skip(`the emulated cuda device agrees with the reference (${reason})`, () => {});
