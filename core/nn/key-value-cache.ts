import type { Backend, Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";

/** What a decoder caches per token: a key and a value in each layer. */
export interface CacheShape {
  readonly layers: number;
  /** Elements of a key, and of a value. */
  readonly width: number;
}

/** Decode steps that the first buffers have room for. */
const INITIAL_STEPS = 16;

/**
 * The keys and values of the tokens generated so far, one row per token and layer. A row is written
 * once and never moves between steps: a hypothesis is the list of its tokens' rows. Hypotheses with
 * a common prefix share its rows, and reordering or dropping hypotheses changes only the lists.
 * When the buffers are full, the rows still in use move to larger ones.
 */
export class KeyValueCache {
  readonly #backend: Backend;
  readonly #shape: CacheShape;
  #layers: readonly { readonly k: Buffer; readonly v: Buffer }[] = [];
  #capacity = 0;
  /** Rows in use, those of the newest tokens included. */
  #used = 0;
  #hypotheses = 0;
  #length = 0;
  #index = new Int32Array();

  constructor(backend: Backend, shape: CacheShape) {
    this.#backend = backend;
    this.#shape = shape;
  }

  /** Tokens per hypothesis. */
  get length(): number {
    return this.#length;
  }

  /** [hypotheses, length]: the row of each token of each hypothesis. */
  get index(): Int32Array {
    return this.#index;
  }

  /**
   * Makes room for the next token of each hypothesis: hypothesis n continues the earlier hypothesis
   * parents[n]. For the first tokens only the length of `parents` counts.
   */
  extend(parents: ArrayLike<number>): void {
    const [hypotheses, earlier] = [parents.length, this.#length];
    const index = new Int32Array(hypotheses * (earlier + 1));
    for (let n = 0; n < hypotheses; n++) {
      const from = earlier === 0 ? 0 : parents[n]! * earlier;
      index.set(this.#index.subarray(from, from + earlier), n * (earlier + 1));
    }
    if (this.#used + hypotheses > this.#capacity) this.#move(index, hypotheses, earlier + 1);
    for (let n = 0; n < hypotheses; n++) index[n * (earlier + 1) + earlier] = this.#used + n;
    this.#used += hypotheses;
    this.#hypotheses = hypotheses;
    this.#length = earlier + 1;
    this.#index = index;
  }

  /** The key and value buffers of a layer, [any, width] each. */
  layer(layer: number): { readonly k: Buffer; readonly v: Buffer } {
    const found = this.#layers[layer];
    invariant(found, `the cache has no layer ${layer}`);
    return found;
  }

  /** Sets a layer's keys and values of the newest tokens, [hypotheses, width] each. */
  write(layer: number, k: Buffer, v: Buffer): void {
    const { width } = this.#shape;
    const length = this.#hypotheses * width;
    const newest = (buffer: Buffer) =>
      this.#backend.view(buffer, this.#used * width - length, length);
    const to = this.layer(layer);
    this.#backend.copy(newest(to.k), k);
    this.#backend.copy(newest(to.v), v);
  }

  /** Frees all buffers. */
  dispose(): void {
    for (const { k, v } of this.#layers) {
      this.#backend.free(k);
      this.#backend.free(v);
    }
    this.#layers = [];
    this.#capacity = 0;
  }

  /**
   * Moves the rows that `index` [hypotheses, length] refers to, without its last column, to buffers
   * with room for the newest tokens and some steps more, and updates `index`.
   */
  #move(index: Int32Array, hypotheses: number, length: number): void {
    const kept = [...new Set(index.filter((_, i) => i % length !== length - 1))];
    const newRows = new Map(kept.map((row, newRow) => [row, newRow]));
    index.forEach((row, i) => (index[i] = newRows.get(row) ?? 0));
    const capacity = Math.max(2 * kept.length, this.#capacity) + INITIAL_STEPS * hypotheses;
    this.#withRows(kept, (rows) => {
      const moved = (from: Buffer | undefined) => this.#gather(from, rows, kept.length, capacity);
      const layers = Array.from({ length: this.#shape.layers }, (_, i) => {
        const old = this.#layers[i];
        const next = { k: moved(old?.k), v: moved(old?.v) };
        if (old) for (const buffer of [old.k, old.v]) this.#backend.free(buffer);
        return next;
      });
      this.#layers = layers;
    });
    this.#capacity = capacity;
    this.#used = kept.length;
  }

  #withRows(rows: readonly number[], use: (rows: Buffer | undefined) => void): void {
    if (rows.length === 0) return use(undefined);
    const buffer = this.#backend.alloc("i32", rows.length);
    this.#backend.upload(buffer, rows);
    use(buffer);
    this.#backend.free(buffer);
  }

  #gather(
    from: Buffer | undefined,
    ids: Buffer | undefined,
    rows: number,
    capacity: number,
  ): Buffer {
    const { width: cols } = this.#shape;
    const to = this.#backend.alloc(this.#backend.activation, capacity * cols);
    if (from && ids) this.#backend.gatherRows(from, ids, to, { rows, cols, add: false });
    return to;
  }
}
