/** Where a module is in its model. */
export interface LayerPlace {
  /** The stack of layers, "encoder.layer"; "" for a module outside every layer. */
  readonly stack: string;
  /** The layer's number; for a module outside every layer its path. */
  readonly layer: string;
  /** The module's path within its layer, "attention.self.query_proj"; "" outside every layer. */
  readonly module: string;
}

/** Splits a module's path at its first number: "encoder.layer.3.attention" is in layer 3. */
export function layerOf(path: string): LayerPlace {
  const [, stack = "", layer = path, module = ""] = /^(.*?)\.(\d+)(?:\.(.*))?$/.exec(path) ?? [];
  return { stack, layer, module };
}
