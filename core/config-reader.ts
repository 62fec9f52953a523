import { errors } from "./errors.ts";
import { type ActivationKind, activationKinds } from "./kernels/elementwise.ts";

const otherNames = ["gelu_pytorch_tanh", "swish"] as const;
// More than any model has: a larger size could only exhaust memory or time before the weights are read.
const MAX_SIZE = 2 ** 24;
const MAX_LAYERS = 1000;

/**
 * Typed access to an untyped config.json. Numbers are read in the range that makes sense for them: a
 * value outside it would fail late, or train to NaN. Every method throws E_CONFIG, with `source` and
 * the key, for a wrong value.
 */
export function configReader(raw: Readonly<Record<string, unknown>>, source: string) {
  const read = <T>(
    key: string,
    fallback: T | undefined,
    want: string,
    is: (v: unknown) => v is T,
  ): T => {
    const value = raw[key] ?? fallback;
    if (!is(value)) throw errors.config(source, key, want, value ?? raw[key]);
    return value;
  };
  const between = (key: string, fallback: number | undefined, least: number, most: number) => {
    const isEnough = (v: unknown): v is number => isInteger(v) && v >= least;
    const found = read(key, fallback, wholeFrom(least), isEnough);
    if (found > most) throw errors.config(source, key, `at most ${most}`, found);
    return found;
  };
  const oneOf = <const W extends string>(key: string, allowed: readonly W[], fallback?: W): W =>
    read(key, fallback, `one of ${allowed.join(", ")}`, (v): v is W =>
      allowed.some((a) => a === v),
    );
  return {
    /**
     * Throws E_CONFIG unless `holds`: the key's value "must be" `want`. `got`: the value that was
     * read, where it may be a default.
     */
    check(key: string, holds: boolean, want: string, got: unknown = raw[key]): void {
      if (!holds) throw errors.config(source, key, want, got);
    },
    int: (key: string, fallback?: number) => read(key, fallback, "a whole number", isInteger),
    /** A whole number in a range. */
    between: (key: string, fallback: number | undefined, least: number, most = MAX_SIZE) =>
      between(key, fallback, least, most),
    /** A number of steps, ranks or rows: 1 or more. */
    size: (key: string, fallback?: number) => between(key, fallback, 1, Number.MAX_SAFE_INTEGER),
    /** A number of something that may be none. */
    count: (key: string, fallback?: number) => between(key, fallback, 0, Number.MAX_SAFE_INTEGER),
    /** An axis of a weight. */
    width: (key: string, fallback?: number) => between(key, fallback, 1, MAX_SIZE),
    layers: (key: string) => between(key, undefined, 1, MAX_LAYERS),
    /** A dropout probability; 1 would drop everything. */
    probability: (key: string, fallback?: number) =>
      read(key, fallback, "a number from 0 to below 1", isShare),
    positive: (key: string, fallback?: number) =>
      read(key, fallback, "a number above 0", (v): v is number => isNumber(v) && v > 0),
    notNegative: (key: string, fallback?: number) =>
      read(key, fallback, "a number from 0", (v): v is number => isNumber(v) && v >= 0),
    number: (key: string, fallback?: number) => read(key, fallback, "a number", isNumber),
    bool: (key: string, fallback?: boolean) =>
      read(key, fallback, "true or false", (v): v is boolean => typeof v === "boolean"),
    /** A nested object; undefined if there is none. */
    object: (key: string) => read(key, undefined, "an object", isObjectOrNone),
    oneOf,
    /** Also by transformers' other names for the same functions. */
    activation: (key: string, fallback: ActivationKind) =>
      kindOf(oneOf(key, [...activationKinds, ...otherNames], fallback)),
    /** Distinct words. Accepts ["c2p", "p2c"] and the older "c2p|p2c" in any case, with spaces. */
    words<const W extends string>(key: string, allowed: readonly W[]): readonly W[] {
      const value: unknown = raw[key] ?? [];
      const words: unknown = typeof value === "string" ? wordsIn(value) : value;
      const isKnown = (word: unknown): word is W => allowed.some((a) => a === word);
      if (Array.isArray(words) && words.length <= 2 * allowed.length && words.every(isKnown))
        return [...new Set(words)];
      throw errors.config(source, key, `a list of ${allowed.join(", ")}`, value);
    },
  };
}

// --- internal ---

const wholeFrom = (least: number) =>
  least === 1 ? "a whole number above 0" : `a whole number from ${least}`;
const isNumber = (v: unknown): v is number => typeof v === "number" && Number.isFinite(v);
const isInteger = (v: unknown): v is number => isNumber(v) && Number.isSafeInteger(v);
const isObjectOrNone = (v: unknown): v is Readonly<Record<string, unknown>> | undefined =>
  v === undefined || (typeof v === "object" && v !== null && !Array.isArray(v));
const isShare = (v: unknown): v is number => isNumber(v) && v >= 0 && v < 1;

function kindOf(name: ActivationKind | (typeof otherNames)[number]): ActivationKind {
  if (name === "gelu_pytorch_tanh") return "gelu_new";
  return name === "swish" ? "silu" : name;
}

const wordsIn = (text: string) =>
  text
    .toLowerCase()
    .split("|")
    .map((word) => word.trim())
    .filter(Boolean);
