import { errors, invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { embedding } from "../ops/embedding.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { linear } from "../ops/linear.ts";
import type { Parameter, Tensor } from "../tensor.ts";
import { drop } from "./drop.ts";
import type { Norm } from "./norms.ts";
import type { TokenBatch } from "./packed-batch.ts";

/** The tokens to embed. */
export interface EmbeddedTokens extends Pick<TokenBatch, "ids" | "positions" | "typeIds"> {
  /** Set if padding tokens are among them: lookups of this id do not train its word embedding. */
  readonly paddingId?: number;
}

/** An embedding table of a model. */
export interface EmbeddingTable {
  /** The rows of a batch, [N, C], added to `base` where given. Overwrites `base`. */
  lookup(pass: ForwardPass, batch: EmbeddedTokens, base: Tensor | undefined): Tensor;
}

/** The parts of a model's embeddings. */
export interface EmbeddingsParts {
  /** Summed in this order. */
  readonly tables: readonly EmbeddingTable[];
  /** [C, E], where the tables are narrower than the model. */
  readonly projection?: Parameter | undefined;
  readonly norm?: Norm | undefined;
  /** Dropout probability of the result. */
  readonly dropout: number;
}

/** The sum of a model's embedding tables, projected and normalized if the model does so. */
export class Embeddings {
  readonly #parts: EmbeddingsParts;

  constructor(parts: EmbeddingsParts) {
    this.#parts = parts;
  }

  /** Returns [N, C]. */
  forward(pass: ForwardPass, batch: EmbeddedTokens): Tensor {
    const { tables, projection, norm, dropout } = this.#parts;
    let x: Tensor | undefined;
    for (const table of tables) x = table.lookup(pass, batch, x);
    invariant(x, "embeddings need a table");
    if (projection) x = linear(pass, { x, weight: projection }, {});
    return drop(pass, norm ? norm.forward(pass, x) : x, dropout);
  }
}

/** Options of `words`. */
export interface WordsOptions {
  /** Lookups of this id add nothing to the gradient of its row, as torch's padding_idx. */
  readonly paddingId?: number;
  /** Factor of the embeddings. Default: 1. */
  readonly scale?: number;
}

/** Word embeddings: the row of each token's id. `table`: [V, C]. */
export function words(table: Parameter, { paddingId, scale }: WordsOptions = {}): EmbeddingTable {
  return {
    lookup(pass, batch, base) {
      const frozen = paddingId ?? batch.paddingId;
      return rowsOf(pass, { table, base }, batch.ids, { frozen, scale });
    },
  };
}

/**
 * Learned positions. `table`: [maxPositions + first, C]; `first`: the row of position 0, since some
 * families reserve rows below it, which are not trained.
 */
export function positions(table: Parameter, first = 0): EmbeddingTable {
  return {
    lookup(pass, { positions: own }, base) {
      const ids = first === 0 ? own : own.map((position) => position + first);
      const isReserved = ids.some((row) => row < first);
      return rowsOf(pass, { table, base }, ids, { frozen: isReserved ? first - 1 : undefined });
    },
  };
}

/**
 * Segment embeddings, row 0 for a batch without segments. `table`: [types, C]. Throws E_CONFIG for
 * a segment beyond the table, such as a pair's second text.
 */
export function tokenTypes(table: Parameter): EmbeddingTable {
  return {
    lookup(pass, { ids, typeIds = new Int32Array(ids.length) }, base) {
      checkSegments(typeIds, table.shape[0] ?? 0);
      return rowsOf(pass, { table, base }, typeIds, {});
    },
  };
}

// --- internal ---

/** Rows of a table, without a gradient for the row `frozen`. */
function rowsOf(
  pass: ForwardPass,
  inputs: { readonly table: Parameter; readonly base: Tensor | undefined },
  ids: Int32Array,
  { frozen, scale = 1 }: { frozen?: number | undefined; scale?: number | undefined },
): Tensor {
  checkRows(inputs.table, ids);
  if (frozen === undefined && scale === 1)
    return gatherRows(pass, inputs, { ids: pass.integers(ids) });
  return embedding(pass, inputs, { ids, paddingId: frozen ?? -1, scale });
}

/** A kernel reads whatever lies behind a table. */
function checkRows({ name, shape: [count = 0] }: Parameter, ids: Int32Array): void {
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    invariant(id >= 0 && id < count, () => `${name} has no row ${id}: it has ${count}`);
  }
}

function checkSegments(typeIds: Int32Array, count: number): void {
  const highest = typeIds.reduce((a, b) => Math.max(a, b), 0);
  if (highest < count) return;
  const rule = `above ${highest}, the last segment of these texts`;
  throw errors.config("config.json", "type_vocab_size", rule, count);
}
