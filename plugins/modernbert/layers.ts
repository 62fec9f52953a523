import { configReader, errors } from "../../core/kit/kit.ts";
import type { LayerType, ModernBertConfig } from "../../models/modernbert/config.ts";

type Raw = Readonly<Record<string, unknown>>;

const TYPES: readonly LayerType[] = ["full_attention", "sliding_attention"];
const isLayerType = (value: unknown): value is LayerType => TYPES.some((type) => type === value);

/**
 * Which layers attend to a window: `layer_types`, or in older configurations all but every
 * `global_attn_every_n_layers`-th. Throws E_CONFIG.
 */
export function layerTypesOf(raw: Raw, source: string): readonly LayerType[] {
  const c = configReader(raw, source);
  const count = c.layers("num_hidden_layers");
  const listed = raw["layer_types"] ?? null;
  if (listed === null) {
    const every = c.width("global_attn_every_n_layers", 3);
    return Array.from({ length: count }, (_, i) => TYPES[i % every === 0 ? 0 : 1]!);
  }
  if (Array.isArray(listed) && listed.length === count && listed.every(isLayerType)) return listed;
  throw errors.config(source, "layer_types", `${count} names out of ${TYPES.join(", ")}`, listed);
}

/**
 * The base of each kind's rotary frequencies: `rope_parameters`, or in older configurations
 * `global_rope_theta` and `local_rope_theta`. Throws E_CONFIG, also for scaled frequencies.
 */
export function thetaOf(raw: Raw, source: string): ModernBertConfig["theta"] {
  const c = configReader(raw, source);
  const full = c.positive("global_rope_theta", 160_000);
  const isShared = raw["local_rope_theta"] === null; // as transformers had it before 5
  const sliding = isShared ? full : c.positive("local_rope_theta", 10_000);
  refuseScaling(c.object("rope_scaling"), source, "rope_scaling");
  return {
    full_attention: ownTheta(raw, "full_attention", source, full),
    sliding_attention: ownTheta(raw, "sliding_attention", source, sliding),
  };
}

// --- internal ---

function ownTheta(raw: Raw, type: LayerType, source: string, fallback: number): number {
  const all = configReader(raw, source).object("rope_parameters") ?? {};
  const own = configReader(all, `${source}: rope_parameters`).object(type) ?? {};
  const key = `rope_parameters.${type}`;
  refuseScaling(own, source, key);
  return configReader(own, `${source}: ${key}`).positive("rope_theta", fallback);
}

function refuseScaling(value: Raw | undefined, source: string, key: string): void {
  const type = value?.["rope_type"] ?? value?.["type"] ?? "default";
  if (type !== "default") throw errors.config(source, key, `unscaled (rope_type "default")`, value);
}
