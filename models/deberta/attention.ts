import {
  type Buffer,
  type ForwardPass,
  type ModuleScope,
  nn,
  ops,
  type Tensor,
  type TokenBatch,
} from "../../core/kit/kit.ts";
import type { DebertaConfig } from "./config.ts";

/** The relative embeddings within reach of a batch, [S, C], and the row of each offset (i32). */
export interface RelativeTable {
  readonly embeddings: Tensor;
  readonly index: Buffer;
}

/** What the layers share of a batch. */
export interface DebertaShared {
  readonly batch: TokenBatch;
  readonly relative: RelativeTable | undefined;
}

/** Disentangled self-attention with its output projection. */
export class DebertaAttention implements nn.Attention<DebertaShared> {
  readonly #config: DebertaConfig;
  readonly #query: nn.Linear;
  readonly #key: nn.Linear;
  readonly #value: nn.Linear;
  readonly #posKey: nn.Linear | undefined;
  readonly #posQuery: nn.Linear | undefined;
  readonly #output: nn.Linear;

  constructor(scope: ModuleScope, config: DebertaConfig) {
    const { hiddenSize, heads, headDim, initializerRange: std } = config;
    const width = heads * headDim;
    const project = (name: string) => scope.linear(`self.${name}`, hiddenSize, width, std);
    this.#config = config;
    this.#query = project("query_proj");
    this.#key = project("key_proj");
    this.#value = project("value_proj");
    const own = config.relativeAttention && !config.shareAttKey;
    const [c2p, p2c] = [config.posAttType.includes("c2p"), config.posAttType.includes("p2c")];
    const position = (isUsed: boolean, shared: nn.Linear, name: string) =>
      isUsed && config.relativeAttention ? (own ? project(name) : shared) : undefined;
    this.#posKey = position(c2p, this.#key, "pos_key_proj");
    this.#posQuery = position(p2c, this.#query, "pos_query_proj");
    this.#output = scope.linear("output.dense", width, hiddenSize, std);
  }

  forward(
    pass: ForwardPass,
    queries: Tensor,
    x: Tensor,
    { packing, padding, firsts, shared: { relative } }: nn.BatchRows<DebertaShared>,
  ): Tensor {
    const { heads, headDim, posAttType, dropout: p } = this.#config;
    const [query, key, value] = [this.#query, this.#key, this.#value];
    const { q, k, v } = nn.projectRows(pass, queries, x, { query, key, value });
    const table = relative && nn.drop(pass, relative.embeddings, p.hidden);
    const shape = {
      packing,
      queries: firsts ? ("first" as const) : ("all" as const),
      heads,
      headDim,
      // transformers rounds this square root to single precision, whatever the dtype
      scale: Math.fround(Math.sqrt(headDim * (1 + posAttType.length))),
      relative: relative?.index,
      relativeRows: relative?.embeddings.shape[0] ?? 0,
      dropout: pass.nextDropout(p.attention),
    };
    const inputs = { q, k, v, ...this.#projectPositions(pass, table) };
    return this.#output.forward(pass, ops.disentangledAttention(pass, inputs, { shape, padding }));
  }

  /** `table`: the relative embeddings, for keys of c2p and queries of p2c. */
  #projectPositions(pass: ForwardPass, table: Tensor | undefined) {
    const [posKey, posQuery] = [this.#posKey, this.#posQuery];
    if (!table) return {};
    if (posKey && posQuery) {
      const [k, q] = nn.projectAll(pass, table, [posKey, posQuery]);
      return { posKey: k, posQuery: q };
    }
    return { posKey: posKey?.forward(pass, table), posQuery: posQuery?.forward(pass, table) };
  }
}
