import { normals, streamOf } from "../../rng.ts";
import type { Parameter } from "../../tensor.ts";
import { type AdapterStart, perAdapter } from "../start.ts";

/** E = 0, A and B ~ N(0, 0.02²) (paper section 3.1; loralib's SVDLinear). */
export const paperValues: AdapterStart = ({ a, e, b }, seed) => {
  const gaussian = (p: Parameter) => normals(p.length, 0.02, seed, streamOf(p.name));
  const values = new Map([
    [a, gaussian(a)],
    [b, gaussian(b)],
  ]);
  if (e) values.set(e, new Float32Array(e.length));
  return values;
};

/** AdaLoRA's start. */
export const paperStart = perAdapter(
  { about: "A and B Gaussian, E = 0, as in the paper", needsE: true },
  paperValues,
);
