import { adapterParameters } from "../../nn/adapter.ts";
import { perAdapter } from "../start.ts";

/** All zeros: for runs that restore a checkpoint, and for counting memory. */
export const zeroStart = perAdapter(
  { about: "all 0", needsE: false },
  (adapter) => new Map(adapterParameters(adapter).map((p) => [p, new Float32Array(p.length)])),
);
