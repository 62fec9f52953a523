import type { PostNormNames } from "./encoder-layer.ts";

/** The names of the six matrices of a layer that AdaLoRA adapts. */
type MatrixNames = Omit<PostNormNames, "attentionNorm" | "mlpNorm">;

/**
 * A family's `adapters.modules` by the short names of the paper's scripts. `layers`: the path of its
 * list of layers.
 */
export function adaptedModules(
  layers: string,
  { query, key, value, output, up, down }: MatrixNames,
): Readonly<Record<string, RegExp>> {
  const named = (name: string) =>
    new RegExp(String.raw`^${literal(layers)}\.\d+\.${literal(name)}$`);
  return {
    query: named(query),
    key: named(key),
    value: named(value),
    "attention.output": named(output),
    intermediate: named(up),
    "layer.output": named(down),
  };
}

const literal = (path: string) => path.replaceAll(".", String.raw`\.`);
