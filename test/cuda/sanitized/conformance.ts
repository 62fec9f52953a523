/** Every conformance case on the emulated device, for what it reads and writes: see sanitized.ts. */
import { describe, test } from "bun:test";
import { createEmulatedBackend } from "../../../ffi/cuda/emulator/backend.ts";
import { runOn } from "../../conformance/bench.ts";
import { cases } from "../../conformance/cases.ts";

/** The order of threads with each alignment: the lowest or the highest runs as far as it gets. */
const ORDERS = { odd: 2, aligned: 3 } as const;

for (const dtype of ["f32", "bf16"] as const) {
  const { backend, control } = await createEmulatedBackend(dtype);
  for (const alignment of ["odd", "aligned"] as const)
    describe(`the emulated device in ${dtype}, ${alignment} buffers`, () => {
      for (const { name, run } of cases)
        test(name, () => {
          control.apply({ early: 1, order: ORDERS[alignment] });
          runOn(backend, run, { alignment });
        });
    });
}
