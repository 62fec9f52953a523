import { streamOf, uniforms } from "../../rng.ts";
import { type AdapterStart, perAdapter } from "../start.ts";

/**
 * B = 0, E = 1, A uniform within 1 / sqrt(in), as torch's kaiming_uniform_(a = sqrt(5)). The gradients of
 * A and B are LoRA's from the first step, where AdaLoRA's E = 0 leaves them none.
 */
export const loraValues: AdapterStart = ({ a, e, b }, seed) => {
  const values = new Map([
    [a, uniforms(a.length, 1 / Math.sqrt(a.shape[1] ?? 1), seed, streamOf(a.name))],
    [b, new Float32Array(b.length)],
  ]);
  if (e) values.set(e, new Float32Array(e.length).fill(1));
  return values;
};

/** LoRA's start, for increments with E too. */
export const loraStart = perAdapter(
  { about: "A Kaiming-uniform, B = 0, E = 1, as LoRA starts", needsE: false },
  loraValues,
);
