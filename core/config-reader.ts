import { errors } from "./errors.ts";
import type { ActivationKind } from "./kernels/elementwise.ts";

const activations: readonly ActivationKind[] = ["gelu", "gelu_new", "relu", "tanh"];

/**
 * Typed access to an untyped config.json. Every method throws E_CONFIG, with `source` and the key,
 * for a wrong value.
 */
export function configReader(raw: Readonly<Record<string, unknown>>, source: string) {
  const read = <T>(
    key: string,
    fallback: T | undefined,
    want: string,
    is: (v: unknown) => v is T,
  ): T => {
    const value = raw[key] ?? fallback;
    if (!is(value)) throw errors.config(source, key, want, raw[key]);
    return value;
  };
  const isNumber = (v: unknown): v is number => typeof v === "number" && Number.isFinite(v);
  const isInteger = (v: unknown): v is number => isNumber(v) && Number.isInteger(v);
  const oneOf = <const W extends string>(key: string, allowed: readonly W[], fallback?: W): W =>
    read(key, fallback, `one of ${allowed.join(", ")}`, (v): v is W =>
      allowed.some((a) => a === v),
    );
  return {
    /** Throws E_CONFIG unless `holds`: the key's value "must be" `want`. */
    check(key: string, holds: boolean, want: string): void {
      if (!holds) throw errors.config(source, key, want, raw[key]);
    },
    int: (key: string, fallback?: number) => read(key, fallback, "a whole number", isInteger),
    size: (key: string, fallback?: number) =>
      read(key, fallback, "a whole number above 0", (v): v is number => isInteger(v) && v > 0),
    number: (key: string, fallback?: number) => read(key, fallback, "a number", isNumber),
    bool: (key: string, fallback?: boolean) =>
      read(key, fallback, "true or false", (v): v is boolean => typeof v === "boolean"),
    oneOf,
    activation: (key: string, fallback: ActivationKind) => oneOf(key, activations, fallback),
    /** Accepts ["c2p", "p2c"] and the older "c2p|p2c". */
    words<const W extends string>(key: string, allowed: readonly W[]): readonly W[] {
      const value: unknown = raw[key] ?? [];
      const words: unknown = typeof value === "string" ? value.split("|").filter(Boolean) : value;
      const want = `a list of ${allowed.join(", ")}`;
      if (!Array.isArray(words)) throw errors.config(source, key, want, value);
      return words.map((word: unknown) => {
        const match = allowed.find((a) => a === word);
        if (match === undefined) throw errors.config(source, key, want, value);
        return match;
      });
    },
  };
}
