import type { Backend, Buffer } from "../backend.ts";
import { invariant } from "../errors.ts";

/** Sizes of what a decoder keeps of each token. */
export interface CacheShape {
  readonly layers: number;
  /** Numbers of a key, and of a value. */
  readonly width: number;
}

/** Steps that the first buffers have room for. */
const INITIAL_STEPS = 16;

/**
 * Keys and values of the tokens of texts that are being written, a row a token and layer. A row is written once and stays where it is:
 * a text is the list of its tokens' rows, so that texts with a common beginning share it, and texts change places or leave for the
 * price of their lists. When the buffers are full, the rows that are still some text's move to new ones.
 */
export class KeyValueCache {
  readonly #backend: Backend;
  readonly #shape: CacheShape;
  #layers: readonly { readonly k: Buffer; readonly v: Buffer }[] = [];
  #capacity = 0;
  /** Rows written, those of the newest tokens included. */
  #used = 0;
  #hypotheses = 0;
  #length = 0;
  #index = new Int32Array();

  constructor(backend: Backend, shape: CacheShape) {
    this.#backend = backend;
    this.#shape = shape;
  }

  /** Tokens of each text. */
  get length(): number {
    return this.#length;
  }

  /** [texts, length]: the row of each token of each text. */
  get index(): Int32Array {
    return this.#index;
  }

  /**
   * Makes room for one more token of each text: text n goes on from the text that was parents[n]. For the first tokens, `parents` says
   * how many texts there are.
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

  /** Keys and values of a layer, [any, width] each. */
  layer(layer: number): { readonly k: Buffer; readonly v: Buffer } {
    const found = this.#layers[layer];
    invariant(found, `the cache has a layer ${layer}`);
    return found;
  }

  /** Sets a layer's keys and values of the newest tokens, [texts, width] each. */
  write(layer: number, k: Buffer, v: Buffer): void {
    const { width } = this.#shape;
    const numbers = this.#hypotheses * width;
    const newest = (buffer: Buffer) =>
      this.#backend.view(buffer, this.#used * width - numbers, numbers);
    const to = this.layer(layer);
    this.#backend.copy(newest(to.k), k);
    this.#backend.copy(newest(to.v), v);
  }

  dispose(): void {
    for (const { k, v } of this.#layers) {
      this.#backend.free(k);
      this.#backend.free(v);
    }
    this.#layers = [];
    this.#capacity = 0;
  }

  /** To buffers with room for `texts` more rows and some steps: the rows that `index` [texts, length] names, but for its last column. */
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
