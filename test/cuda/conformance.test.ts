import { test } from "bun:test";
import { createEmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { cases } from "../conformance/cases.ts";
import { runConformance } from "../conformance/run.ts";
import { available } from "../helpers/available.ts";

const emulated = await available(async () => (await createEmulatedBackend()).backend);
if (emulated.backend) {
  const { backend } = emulated;
  const missing = cases.filter(({ entry }) => backend[entry] === undefined);
  const entries = [...new Set(missing.map(({ entry }) => entry))];
  const names = missing.map(({ name }) => name);
  console.warn(`the cuda backend lacks ${entries.join(", ")}`);
  runConformance(backend, { skip: [{ reason: "not written yet", cases: names }] });
} else
  test.skip(`the emulated cuda device agrees with the reference (${emulated.reason})`, () => {});
