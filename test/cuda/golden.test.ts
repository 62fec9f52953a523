import { afterAll, expect, test } from "bun:test";
import { join } from "node:path";
import { readGoldenCase } from "../../core/model/golden-case.ts";
import { createEmulatedBackend, type EmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { checkCase } from "../golden/check.ts";
import { available } from "../helpers/available.ts";

let emulated: EmulatedBackend | undefined;
const { reason } = await available(async () => (emulated = await createEmulatedBackend()).backend);

/** Whole AdaLoRA trajectories of the authors' code, with every mask. */
const CASES = ["05-adalora-seqcls-12steps-f64", "05-adalora-bart"];

if (emulated === undefined)
  test.skip(`trajectories on the emulated cuda device (${reason})`, () => {});
else {
  const { backend, control } = emulated;
  afterAll(() => backend.close());
  for (const name of CASES)
    test(`the emulated cuda device follows the authors' code: ${name}`, async () => {
      control.reset();
      const golden = readGoldenCase(join(import.meta.dir, "../golden/cases", name));
      const result = await checkCase(backend, golden, "f32");
      expect(result).toMatchObject({ status: "pass" });
      expect(Object.keys(result.worst ?? {})).toEqual(
        expect.arrayContaining(["kept", "final", "grad_norm", "task_loss"]),
      );
      expect(control.report()).toMatchObject({ fault: "" });
    });
}
