import { invariant } from "../errors.ts";

/** Keys and indices that lead from a document to one of its values. */
export type JsonPath = readonly (string | number)[];

/**
 * The line, from 1, of a value in a JSON text: for a member the line of its key, for an object that
 * of its first key. For a missing key or element, the line of the innermost container that exists.
 * The text must be valid JSON.
 */
export function lineOf(text: string, path: JsonPath): number {
  let found: ValueOffsets = { value: skipSpace(text, 0), keyOffset: undefined };
  for (const step of path) {
    const next =
      typeof step === "number"
        ? elementOf(text, found.value, step)
        : memberOf(text, found.value, step);
    if (next === undefined) break;
    found = next;
  }
  return lineAt(text, found.keyOffset ?? firstKey(text, found.value));
}

// --- internal ---

/** The offsets of a value and, for a member, of its key. */
interface ValueOffsets {
  readonly value: number;
  readonly keyOffset: number | undefined;
}

function elementOf(text: string, list: number, index: number): ValueOffsets | undefined {
  if (text[list] !== "[") return undefined;
  let at = skipSpace(text, list + 1);
  for (let i = 0; text[at] !== "]"; i++) {
    if (i === index) return { value: at, keyOffset: undefined };
    at = skipSpace(text, endOf(text, at));
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return undefined;
}

/** For a duplicate key the last member counts, as in JSON.parse. */
function memberOf(text: string, object: number, key: string): ValueOffsets | undefined {
  if (text[object] !== "{") return undefined;
  let found: ValueOffsets | undefined;
  let at = skipSpace(text, object + 1);
  while (text[at] !== "}") {
    const keyOffset = at;
    at = endOf(text, keyOffset);
    const name: unknown = JSON.parse(text.slice(keyOffset, at));
    const value = skipSpace(text, skipSpace(text, at) + 1);
    if (name === key) found = { value, keyOffset };
    at = skipSpace(text, endOf(text, value));
    if (text[at] === ",") at = skipSpace(text, at + 1);
  }
  return found;
}

function firstKey(text: string, value: number): number {
  const first = skipSpace(text, value + 1);
  return text[value] === "{" && text[first] === '"' ? first : value;
}

/**
 * The offset after a value. Tracks depth with a counter, so deep nesting cannot overflow the stack.
 */
function endOf(text: string, start: number): number {
  let depth = 0;
  let at = start;
  do {
    const char = text[at];
    invariant(char !== undefined, "lineOf needs valid JSON");
    if (char === '"') at = stringEnd(text, at);
    else {
      if (char === "{" || char === "[") depth++;
      else if (char === "}" || char === "]") depth--;
      else if (depth === 0) return scalarEnd(text, at);
      at++;
    }
  } while (depth > 0);
  return at;
}

function stringEnd(text: string, quote: number): number {
  let at = quote + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

function scalarEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && !/[\s,\]}]/.test(text[at]!)) at++;
  return at;
}

function skipSpace(text: string, start: number): number {
  let at = start;
  while (at < text.length && " \t\r\n".includes(text[at]!)) at++;
  return at;
}

function lineAt(text: string, offset: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < offset; at = text.indexOf("\n", at + 1)) {
    line++;
  }
  return line;
}
