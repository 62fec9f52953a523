import { errors, invariant } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { embedding } from "../ops/embedding.ts";
import { gatherRows } from "../ops/gather-rows.ts";
import { linear } from "../ops/linear.ts";
import type { Parameter, Tensor } from "../tensor.ts";
import { drop } from "./drop.ts";
import type { Norm } from "./layer-norm.ts";
import type { TokenBatch } from "./packed-batch.ts";

/** The tokens to embed. */
export type EmbeddedTokens = Pick<TokenBatch, "ids" | "positions" | "typeIds">;

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
  readonly paddingId: number;
  /** Factor of the embeddings. Default: 1. */
  readonly scale?: number;
}

/** Word embeddings: the row of each token's id. `table`: [V, C]. */
export function words(table: Parameter, options?: WordsOptions): EmbeddingTable {
  if (!options) return rowsOf(table, ({ ids }) => ids);
  const { paddingId, scale = 1 } = options;
  return {
    lookup(pass, { ids }, base) {
      invariant(!base, "scaled word embeddings must be the first table");
      return embedding(pass, { table }, { ids, paddingId, scale });
    },
  };
}

/**
 * Learned positions. `table`: [maxPositions + first, C]; `first`: the row of position 0, since some
 * families reserve rows below it.
 */
export function positions(table: Parameter, first = 0): EmbeddingTable {
  return rowsOf(table, ({ positions: own }) =>
    first === 0 ? own : own.map((position) => position + first),
  );
}

/**
 * Segment embeddings, row 0 for a batch without segments. `table`: [types, C]. Throws E_CONFIG for
 * a segment beyond the table, such as a pair's second text.
 */
export function tokenTypes(table: Parameter): EmbeddingTable {
  return rowsOf(table, ({ ids, typeIds = new Int32Array(ids.length) }) => {
    checkSegments(typeIds, table.shape[0] ?? 0);
    return typeIds;
  });
}

// --- internal ---

function rowsOf(table: Parameter, ids: (batch: EmbeddedTokens) => Int32Array): EmbeddingTable {
  return {
    lookup: (pass, batch, base) =>
      gatherRows(pass, { table, base }, { ids: pass.integers(ids(batch)) }),
  };
}

function checkSegments(typeIds: Int32Array, count: number): void {
  const highest = typeIds.reduce((a, b) => Math.max(a, b), 0);
  if (highest < count) return;
  const rule = `above ${highest}, the last segment of these texts`;
  throw errors.config("config.json", "type_vocab_size", rule, count);
}
