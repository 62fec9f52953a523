import { errors } from "../../errors.ts";
import type { Adapter } from "../../nn/adapter.ts";
import type { AdaptedLayer, Start, StartContext, StartValues } from "../start.ts";
import { paperValues } from "./paper.ts";

/**
 * EVA (Paischer et al., arXiv:2410.07170) as PEFT implements it: A's rows are the principal
 * components of the layer's input, from an incremental SVD over batches of training data. With E:
 * E = 0 and B ~ N(0, 0.02²), as in the paper's start. Without E: B = 0, as in PEFT.
 */
export const evaStart: Start = {
  about: "A from the principal components of each layer's inputs, over training data (EVA)",
  needsE: false,
  check,
  values: evaValues,
};

// --- internal ---

function check(layers: readonly AdaptedLayer[], rank: number): void {
  const narrow = layers.find(({ inFeatures }) => inFeatures < rank);
  if (!narrow) return;
  const { path, inFeatures } = narrow;
  throw errors.flag(
    "init-rank",
    `must be at most ${inFeatures} with --start eva, got ${rank}: ${path} has ${inFeatures} inputs`,
    "n features have at most n components: lower --init-rank, or use another --start",
  );
}

async function evaValues(context: StartContext): Promise<StartValues> {
  // Loaded on demand: the table of starts is part of every help page.
  const { fitInputs } = await import("./input-components.ts");
  const inputs = await fitInputs(context);
  const values = context.adapters.map((adapter) =>
    valuesOf(adapter, inputs.get(adapter.path)?.components ?? [], context.seed),
  );
  return new Map(values.flatMap((each) => [...each]));
}

function valuesOf(
  adapter: Adapter,
  components: readonly Float64Array[],
  seed: number,
): StartValues {
  const { a, e, b } = adapter;
  const rows = Float32Array.from(components.flatMap((row) => Array.from(row)));
  const rest = e ? paperValues(adapter, seed) : new Map([[b, new Float32Array(b.length)]]);
  return new Map([...rest, [a, rows]]);
}
