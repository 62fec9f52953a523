/** A config.json of the same family with smaller sizes. */
export interface ShrunkConfig {
  /** What was made smaller, for a message: "2 layers, 2 heads, width 16, 64 tokens". */
  readonly about: string;
  readonly raw: Readonly<Record<string, unknown>>;
}

/** Sizes that a shrunken model has at most. */
const most = { layers: 2, heads: 2, headDim: 8, ffn: 24, embedding: 12, positions: 64, reach: 8 };
const VOCABULARY = 64;

/**
 * Config.json with its known size keys made small, the boldest change first; the original comes
 * last. A family may refuse any of them: try them in order.
 */
export function shrunkConfigs(raw: Readonly<Record<string, unknown>>): readonly ShrunkConfig[] {
  const width = most.heads * most.headDim;
  const depth = { ...shrunkDepth(raw), ...shrunkVocabulary(raw) };
  const sizes = `${most.layers} layers, ${VOCABULARY} tokens`;
  return [
    {
      about: `${sizes}, ${most.heads} heads, width ${width}`,
      raw: { ...raw, ...depth, ...shrunkWidths(raw) },
    },
    { about: `${sizes}, the widths of config.json`, raw: { ...raw, ...depth } },
    { about: `${most.layers} layers`, raw: { ...raw, ...shrunkDepth(raw) } },
    { about: "all sizes of config.json", raw },
  ];
}

// --- internal ---

type Config = Readonly<Record<string, unknown>>;

const keys = {
  layers: words("num_hidden_layers num_layers n_layers n_layer encoder_layers decoder_layers"),
  heads: words(
    "num_attention_heads n_heads n_head encoder_attention_heads decoder_attention_heads",
  ),
  keyHeads: words("num_key_value_heads"),
  headDim: words("head_dim attention_head_size"),
  width: words("hidden_size d_model dim n_embd pooler_hidden_size"),
  embedding: words("embedding_size"),
  ffn: words("intermediate_size hidden_dim ffn_dim d_ff n_inner encoder_ffn_dim decoder_ffn_dim"),
  positions: words("max_position_embeddings n_positions"),
  /** How far a token sees or tells positions apart. */
  reach: words("position_buckets max_relative_positions local_attention sliding_window"),
} as const;

function words(text: string): readonly string[] {
  return text.split(" ");
}

const isSize = (value: unknown): value is number =>
  typeof value === "number" && Number.isInteger(value) && value > 0;

/** The keys that are present, with a new value for each. */
function changed(raw: Config, names: readonly string[], change: (size: number) => number): Config {
  const entries = names.flatMap((name) => {
    const size = raw[name];
    return isSize(size) ? [[name, change(size)] as const] : [];
  });
  return Object.fromEntries(entries);
}

const upTo = (limit: number) => (size: number) => Math.min(size, limit);

/** Fewer layers and positions, and lists with one entry a layer cut to the same length. */
function shrunkDepth(raw: Config): Config {
  const types = raw["layer_types"];
  return {
    ...changed(raw, keys.layers, upTo(most.layers)),
    ...changed(raw, keys.positions, upTo(most.positions)),
    ...changed(raw, keys.reach, upTo(most.reach)),
    ...(Array.isArray(types) ? { layer_types: types.slice(0, most.layers) } : {}),
  };
}

/** Narrower layers: all widths from one number of heads, so that they still fit each other. */
function shrunkWidths(raw: Config): Config {
  const wide = keys.width.map((name) => raw[name]).find(isSize);
  const heads = keys.heads.map((name) => raw[name]).find(isSize);
  const width = most.heads * most.headDim;
  if (wide === undefined || wide <= width) return changed(raw, keys.ffn, upTo(most.ffn));
  return {
    ...changed(raw, keys.width, () => width),
    ...changed(raw, keys.heads, () => most.heads),
    ...changed(raw, keys.keyHeads, (size) => (size === heads ? most.heads : 1)),
    ...changed(raw, keys.headDim, () => most.headDim),
    ...changed(raw, keys.embedding, (size) => (size === wide ? width : most.embedding)),
    ...changed(raw, keys.ffn, upTo(most.ffn)),
  };
}

/** A smaller vocabulary, and ids of special tokens below it; equal ids stay equal. */
function shrunkVocabulary(raw: Config): Config {
  const size = raw["vocab_size"];
  if (!isSize(size) || size <= VOCABULARY) return {};
  const ids = new Map<number, number>();
  const idOf = (id: unknown): unknown => {
    if (Array.isArray(id)) return id.map(idOf);
    if (typeof id !== "number" || id < VOCABULARY) return id;
    const known = ids.get(id) ?? VOCABULARY - 1 - ids.size;
    ids.set(id, known);
    return known;
  };
  const special = Object.entries(raw).filter(([name]) => name.endsWith("_token_id"));
  return {
    vocab_size: VOCABULARY,
    ...Object.fromEntries(special.map(([name, id]) => [name, idOf(id)])),
  };
}
