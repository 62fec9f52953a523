import type { Backend } from "../backend.ts";
import { normals, streamOf, uniforms } from "../rng.ts";
import type { Parameter } from "../tensor.ts";
import type { Adapter } from "../nn/adapter.ts";

/** How an adapter begins: its increment must be zero, so that training starts from the frozen model. */
export type Start = (adapter: Adapter, seed: number) => ReadonlyMap<Parameter, Float32Array>;

/** AdaLoRA: E = 0, A and B ~ N(0, 0.02) (paper section 3.1; loralib's SVDLinear). */
export const paperStart: Start = ({ a, e, b }, seed) => {
  const gaussian = (p: Parameter) => normals(p.length, 0.02, seed, streamOf(p.name));
  const values = new Map([
    [a, gaussian(a)],
    [b, gaussian(b)],
  ]);
  if (e) values.set(e, new Float32Array(e.length));
  return values;
};

/** LoRA: B = 0, A uniform as torch's kaiming_uniform_(a = sqrt(5)), that is within 1 / sqrt(in). */
export const loraStart: Start = ({ a, b }, seed) =>
  new Map([
    [a, uniforms(a.length, 1 / Math.sqrt(a.shape[1] ?? 1), seed, streamOf(a.name))],
    [b, new Float32Array(b.length)],
  ]);

/** Gives each adapter its first numbers. */
export function startAdapters(
  backend: Backend,
  adapters: readonly Adapter[],
  start: Start,
  seed: number,
): void {
  for (const adapter of adapters) {
    for (const [parameter, values] of start(adapter, seed)) {
      parameter.buffer = backend.alloc(backend.master, parameter.length);
      backend.upload(parameter.buffer, values);
    }
  }
}
