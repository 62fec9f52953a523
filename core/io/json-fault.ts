/** The position at which a text stops being JSON. */
interface JsonFault {
  /** From 1. */
  readonly line: number;
  /** Whether the text is valid JSON up to its end but incomplete. */
  readonly isCutShort: boolean;
}

/**
 * Finds the first error in a text that JSON.parse has refused, as its message has no line number.
 * undefined for valid JSON.
 */
export function jsonFault(text: string): JsonFault | undefined {
  const open: string[] = [];
  let expected: Expected = "value";
  let at = 0;
  for (;;) {
    at = matchEnd(space, text, at) ?? at;
    if (at === text.length)
      return open.length === 0 && expected === "next" ? undefined : fault(text, at);
    const step: Step | undefined = stepAt(text, at, expected, open);
    if (step === undefined) return fault(text, at);
    if (step.end === undefined) return fault(text, text.length);
    ({ end: at, expected } = step);
  }
}

// --- internal ---

/**
 * What may come next: a value or the end of a list; a key or the end of an object; a comma or the
 * end of the open container.
 */
type Expected = "value" | "value or ]" | "key" | "key or }" | ":" | "next";

interface Step {
  /** The offset after the token; undefined when the text ends inside it. */
  readonly end: number | undefined;
  readonly expected: Expected;
}

const space = /[ \t\r\n]*/y;
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const plainCharacters = /[^"\\\r\n\t]*/y;
const escaped = /\\(?:["\\/bfnrt]|u[\dA-Fa-f]{4})/y;

/**
 * Reads one token and updates `open`, the stack of unclosed brackets. undefined for an unexpected
 * token.
 */
function stepAt(text: string, at: number, expected: Expected, open: string[]): Step | undefined {
  const char = text[at];
  const closing = open.at(-1) === "{" ? "}" : "]";
  const mayClose = expected === "next" || expected.endsWith(closing);
  if (open.length > 0 && char === closing && mayClose) {
    open.pop();
    return { end: at + 1, expected: "next" };
  }
  if (expected === "next") {
    if (open.length === 0 || char !== ",") return undefined;
    return { end: at + 1, expected: closing === "}" ? "key" : "value" };
  }
  if (expected === ":") return char === ":" ? { end: at + 1, expected: "value" } : undefined;
  if (char === '"') return stringStep(text, at, expected.startsWith("key") ? ":" : "next");
  if (expected.startsWith("key")) return undefined;
  if (char === "{" || char === "[") {
    open.push(char);
    return { end: at + 1, expected: char === "{" ? "key or }" : "value or ]" };
  }
  const end = matchEnd(scalar, text, at);
  return end === undefined ? undefined : { end, expected: "next" };
}

function stringStep(text: string, at: number, expected: Expected): Step | undefined {
  // A loop: one pattern for a whole string gives up on a long one.
  let end = at + 1;
  for (
    let next: number | undefined = end;
    next !== undefined;
    next = matchEnd(escaped, text, end)
  ) {
    end = matchEnd(plainCharacters, text, next) ?? next;
  }
  if (text[end] === '"') return { end: end + 1, expected };
  return end === text.length ? { end: undefined, expected } : undefined;
}

/** The end offset of a sticky pattern's match at `at`; undefined when it does not match. */
function matchEnd(pattern: RegExp, text: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : undefined;
}

function fault(text: string, at: number): JsonFault {
  const isCutShort = at === text.length;
  const before = isCutShort ? text.trimEnd() : text.slice(0, at);
  return { line: before.split("\n").length, isCutShort };
}
