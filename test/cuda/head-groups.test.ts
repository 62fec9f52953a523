import { expect, test } from "bun:test";
import { createEmulatedBackend } from "../../ffi/cuda/emulator/backend.ts";
import { type Results, runOn, sameBits } from "../conformance/bench.ts";
import { cases } from "../conformance/cases.ts";
import { available } from "../helpers/available.ts";

const NAMES = ["odd sizes", "many heads", "dropout, first tokens"].map(
  (note) => `disentangledAttentionBackward ${note}`,
);

/** Results of backward with scratch for as many heads as fit, and the kernels that it started. */
async function resultsWith(attentionScratch?: number): Promise<{ all: Results; launches: number }> {
  const options = attentionScratch === undefined ? {} : { attentionScratch };
  const { backend, control } = await createEmulatedBackend("f32", options);
  control.reset();
  const all = new Map<string, Float64Array | Float32Array | Int32Array>();
  for (const name of NAMES) {
    const found = cases.find((each) => each.name === name);
    if (found === undefined) throw new Error(`no case is called ${name}`);
    for (const [key, values] of runOn(backend, found.run)) all.set(`${name}: ${key}`, values);
  }
  const { launches } = control.report();
  backend.close();
  return { all, launches };
}

const { reason } = await available(async () => {
  const { backend } = await createEmulatedBackend();
  backend.close();
  return backend;
});

test.skipIf(reason !== undefined)(
  "disentangled attention has the same gradients however many heads share its scratch",
  async () => {
    const whole = await resultsWith();
    const each = await resultsWith(1);
    expect(each.launches).toBeGreaterThan(whole.launches);
    for (const [name, values] of whole.all) {
      const other = each.all.get(name);
      expect(other !== undefined && sameBits(other, values), name).toBe(true);
    }
  },
);
