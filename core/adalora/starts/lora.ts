import { streamOf, uniforms } from "../../rng.ts";
import { type AdapterStart, perAdapter } from "../start.ts";

/**
 * B = 0, E = 1 and A uniform in ±1 / sqrt(in), like torch's kaiming_uniform_(a = sqrt(5)). A and B
 * get LoRA's gradients from the first step, whereas AdaLoRA's E = 0 gives them none.
 */
export const loraValues: AdapterStart = ({ a, e, b }, seed) => {
  const values = new Map([
    [a, uniforms(a.length, 1 / Math.sqrt(a.shape[1] ?? 1), seed, streamOf(a.name))],
    [b, new Float32Array(b.length)],
  ]);
  if (e) values.set(e, new Float32Array(e.length).fill(1));
  return values;
};

/** LoRA's start; adapters with E get E = 1. */
export const loraStart = perAdapter(
  { about: "A Kaiming-uniform, B = 0, E = 1, as LoRA starts", needsE: false },
  loraValues,
);
