import { RegexError } from "./regex-parser.ts";

/** Stands for a dot of a key that matches any character; no key holds it. */
const ANY = "\0";
/** Dots that all lookups may replace together; a model of 10,000 modules needs a tenth. */
const MAX_WORK = 5_000_000;
const PLAIN = /^\^?(?:[\w.-]|\\\.)+$/;

/**
 * Keys of a PEFT pattern whose only special characters are dots, `\.` and a leading `^`. Nearly all
 * keys are such paths, and there may be one for each module of a model: a lookup tries the ends of
 * a path by hash, not every key. As in the regular expression, a plain dot stands for any character.
 */
export class PlainKeys {
  /** Key → its place, as the first match counts; `ANY` for each plain dot. */
  readonly #endings = new Map<string, number>();
  readonly #anchored = new Map<string, number>();
  /** The distinct shapes of keys by their length: `ANY` for each plain dot, "x" for the rest. */
  readonly #shapes = new Map<number, Set<string>>();
  #workLeft = MAX_WORK;

  /** Adds a key; false if it is no plain one. */
  add(key: string, place: number): boolean {
    if (!PLAIN.test(key)) return false;
    const bare = key.startsWith("^") ? key.slice(1) : key;
    const masked = bare.replaceAll("\\.", "\u0001").replaceAll(".", ANY).replaceAll("\u0001", ".");
    const keys = bare === key ? this.#endings : this.#anchored;
    if (!keys.has(masked)) keys.set(masked, place);
    const shapes = this.#shapes.get(masked.length) ?? new Set();
    shapes.add(masked.replaceAll(/[^\0]/g, "x"));
    this.#shapes.set(masked.length, shapes);
    return true;
  }

  /**
   * The place of the first key that matches the whole path or its last components; else Infinity.
   * Throws a RegexError when all lookups together take too much work.
   */
  firstMatch(path: string): number {
    let first = this.#lookUp(path, [this.#anchored, this.#endings]);
    for (let dot = path.indexOf("."); dot !== -1; dot = path.indexOf(".", dot + 1)) {
      first = Math.min(first, this.#lookUp(path.slice(dot + 1), [this.#endings]));
    }
    return first;
  }

  #lookUp(text: string, tables: readonly ReadonlyMap<string, number>[]): number {
    let first = Infinity;
    for (const shape of this.#shapes.get(text.length) ?? []) {
      let masked = "";
      let after = 0;
      for (let at = shape.indexOf(ANY); at !== -1; at = shape.indexOf(ANY, after)) {
        masked += text.slice(after, at) + ANY;
        after = at + 1;
        this.#workLeft--;
      }
      if (--this.#workLeft < 0) throw new RegexError("that takes less work to match");
      masked += text.slice(after);
      for (const table of tables) first = Math.min(first, table.get(masked) ?? Infinity);
    }
    return first;
  }
}
