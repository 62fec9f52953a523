import { afterAll, beforeAll, test } from "bun:test";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";

/** Groups of adapted layers whose products are tensor cores'; together they take seconds. */
const GROUPS = [
  "query, key, value",
  "query, key, value, many rows",
  "of different widths, one not adapted, dropout",
  "a fused layer with two of three parts adapted, activated",
];
const only = GROUPS.flatMap((group) => [`linears, ${group}`, `linearsBackward, ${group}`]);

let emulated: EmulatedBackend | undefined;
const { reason } = await available(
  async () => (emulated = await createEmulatedBackend("bf16")).backend,
);
if (emulated !== undefined) {
  const { backend, control } = emulated;
  beforeAll(() => control.reset());
  afterAll(() => backend.close());
  // Only aligned rows are read by 16 bytes.
  runConformance(backend, {
    only,
    alignments: ["aligned", "odd"],
    prepare(call) {
      control.set("order", call === "first" ? 2 : 3);
      control.set("early", call === "first" ? 1 : 0);
    },
  });
} else test.skip(`the emulated cuda device agrees with the reference (${reason})`, () => {});
