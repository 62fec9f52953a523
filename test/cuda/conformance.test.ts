import { afterAll, beforeAll, describe, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { cases } from "../conformance/cases.ts";
import { runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";

let emulated: EmulatedBackend | undefined;
const { reason } = await available(async () => (emulated = await createEmulatedBackend()).backend);
if (emulated !== undefined) {
  const { backend, control } = emulated;
  const missing = cases.filter(({ entry }) => backend[entry] === undefined);
  const entries = [...new Set(missing.map(({ entry }) => entry))];
  const skip = [{ reason: "not written yet", cases: missing.map(({ name }) => name) }];
  if (entries.length > 0) console.warn(`the cuda backend lacks ${entries.join(", ")}`);

  afterAll(() => backend.close());

  describe("the lowest thread runs as far as it gets, work is done at once", () => {
    beforeAll(() => {
      control.reset();
      control.set("order", 2);
      control.set("early", 1);
    });
    runConformance(backend, { skip, alignments: ["odd"] });
  });

  describe("the highest thread runs as far as it gets, work is as late as it may be", () => {
    beforeAll(() => {
      control.set("order", 3);
      control.set("early", 0);
    });
    runConformance(backend, { skip, alignments: ["mixed"] });
  });
} else test.skip(`the emulated cuda device agrees with the reference (${reason})`, () => {});
