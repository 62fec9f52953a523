/** A node of a parsed regular expression. `test` tells whether a code point matches. */
export type RegexNode =
  | { readonly kind: "char"; readonly test: (code: number) => boolean }
  | { readonly kind: "assert"; readonly at: "start" | "end" | "wordEdge" | "noWordEdge" }
  | { readonly kind: "sequence"; readonly parts: readonly RegexNode[] }
  | { readonly kind: "choice"; readonly options: readonly RegexNode[] }
  | {
      readonly kind: "repeat";
      readonly node: RegexNode;
      readonly min: number;
      readonly max: number;
    }
  | { readonly kind: "lookahead"; readonly node: RegexNode; readonly negated: boolean };

/** Why a regular expression cannot be used, as the end of "must be a regular expression …". */
export class RegexError extends Error {}

/** Largest count in `{m,n}`. */
const MAX_COUNT = 1000;
const MAX_DEPTH = 50;

/**
 * Parses the part of Python's `re` syntax that names of modules are matched with: literals, classes,
 * escapes, groups, alternatives, quantifiers, anchors and lookaheads. Whether a quantifier is lazy
 * does not matter for whether a text matches. Throws a RegexError for anything else: backreferences
 * and lookbehinds have no matcher in linear time.
 */
export function parseRegex(source: string): RegexNode {
  const state = { chars: Array.from(source), at: 0, depth: 0 };
  const node = parseChoice(state);
  if (state.at < state.chars.length) throw new RegexError("whose parentheses are balanced");
  return node;
}

/** Whether a code point belongs to Python's `\w`. */
export const isWordCharacter = (code: number) =>
  code < 128 ? isAsciiWord(code) : /[\p{L}\p{N}]/u.test(String.fromCodePoint(code));

// --- internal ---

interface ParserState {
  readonly chars: readonly string[];
  at: number;
  depth: number;
}

const isAsciiWord = (code: number) =>
  (code >= 48 && code <= 57) ||
  (code >= 65 && code <= 90) ||
  code === 95 ||
  (code >= 97 && code <= 122);
const isDigit = (code: number) =>
  code < 128 ? code >= 48 && code <= 57 : /\p{Nd}/u.test(String.fromCodePoint(code));
const isSpace = (code: number) => /\s/u.test(String.fromCodePoint(code));

const CLASSES: Readonly<Record<string, (code: number) => boolean>> = {
  d: isDigit,
  D: (code) => !isDigit(code),
  w: isWordCharacter,
  W: (code) => !isWordCharacter(code),
  s: isSpace,
  S: (code) => !isSpace(code),
};
const CONTROLS: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7, 0: 0 };
const HEX_LENGTHS: Readonly<Record<string, number>> = { x: 2, u: 4, U: 8 };
const NEWLINE = 10;

const literal = (code: number): RegexNode => ({ kind: "char", test: (other) => other === code });
const codeOf = (char: string) => char.codePointAt(0) ?? 0;

function parseChoice(state: ParserState): RegexNode {
  const options = [parseSequence(state)];
  while (state.chars[state.at] === "|") {
    state.at++;
    options.push(parseSequence(state));
  }
  return options.length === 1 ? options[0]! : { kind: "choice", options };
}

function parseSequence(state: ParserState): RegexNode {
  const parts: RegexNode[] = [];
  for (;;) {
    const char = state.chars[state.at];
    if (char === undefined || char === "|" || char === ")") return { kind: "sequence", parts };
    const atom = parseAtom(state);
    parts.push(atom === undefined ? { kind: "sequence", parts: [] } : parseQuantifier(state, atom));
  }
}

/** Undefined for a comment, which cannot be quantified. */
function parseAtom(state: ParserState): RegexNode | undefined {
  const char = state.chars[state.at++]!;
  switch (char) {
    case "(":
      return parseGroup(state);
    case "[":
      return parseClass(state);
    case "\\":
      return parseEscape(state);
    case ".":
      return { kind: "char", test: (code) => code !== NEWLINE };
    case "^":
      return { kind: "assert", at: "start" };
    case "$":
      return { kind: "assert", at: "end" };
    case "*":
    case "+":
    case "?":
      throw new RegexError("whose quantifiers follow something");
    default:
      return literal(codeOf(char));
  }
}

/** The forms of "(?"; "" is a plain group. Every other form is refused by its name. */
const GROUPS: readonly (readonly [RegExp, "group" | "ahead" | "notAhead"])[] = [
  [/^\?(?::|P<\w{1,100}>)/, "group"],
  [/^\?=/, "ahead"],
  [/^\?!/, "notAhead"],
  [/^(?!\?)/, "group"],
];

function parseGroup(state: ParserState): RegexNode | undefined {
  const ahead = state.chars.slice(state.at, state.at + 110).join("");
  if (ahead.startsWith("?#")) return skipComment(state);
  const found = GROUPS.find(([pattern]) => pattern.test(ahead));
  if (!found) throw new RegexError(`without ${groupName(ahead)}`);
  const [pattern, kind] = found;
  state.at += pattern.exec(ahead)![0].length;
  if (++state.depth > MAX_DEPTH) throw new RegexError(`nested at most ${MAX_DEPTH} deep`);
  const node = parseChoice(state);
  state.depth--;
  if (state.chars[state.at++] !== ")") throw new RegexError("whose parentheses are balanced");
  return kind === "group" ? node : { kind: "lookahead", node, negated: kind === "notAhead" };
}

function groupName(ahead: string): string {
  if (/^\?<[=!]/.test(ahead)) return "lookbehinds";
  if (ahead.startsWith("?P=")) return "backreferences";
  if (ahead.startsWith("?(")) return "conditions";
  if (ahead.startsWith("?>")) return "atomic groups";
  return "flags";
}

function skipComment(state: ParserState): undefined {
  const end = state.chars.indexOf(")", state.at);
  if (end === -1) throw new RegexError("whose parentheses are balanced");
  state.at = end + 1;
}

function parseEscape(state: ParserState): RegexNode {
  const char = state.chars[state.at++];
  if (char === "A") return { kind: "assert", at: "start" };
  if (char === "Z") return { kind: "assert", at: "end" };
  if (char === "b") return { kind: "assert", at: "wordEdge" };
  if (char === "B") return { kind: "assert", at: "noWordEdge" };
  const item = escapedItem(state, char);
  return typeof item === "number" ? literal(item) : { kind: "char", test: item };
}

/** What follows a backslash, inside a class and outside: a code point or a class. */
function escapedItem(
  state: ParserState,
  char: string | undefined,
): number | ((code: number) => boolean) {
  if (char === undefined) throw new RegexError("that does not end with a backslash");
  if (/[1-9]/.test(char)) throw new RegexError("without backreferences");
  const known = Object.hasOwn(CLASSES, char) ? CLASSES[char] : undefined;
  if (known) return known;
  if (Object.hasOwn(CONTROLS, char)) return CONTROLS[char]!;
  const length = Object.hasOwn(HEX_LENGTHS, char) ? HEX_LENGTHS[char] : undefined;
  if (length !== undefined) {
    const digits = state.chars.slice(state.at, state.at + length).join("");
    const code = /^[0-9a-f]+$/i.test(digits) ? Number.parseInt(digits, 16) : Number.NaN;
    if (digits.length !== length || !(code <= 0x10ffff)) throw badEscape(char);
    state.at += length;
    return code;
  }
  if (/[a-z]/i.test(char)) throw badEscape(char);
  return codeOf(char);
}

const badEscape = (char: string) => new RegexError(`without the escape \\${char}`);

function parseClass(state: ParserState): RegexNode {
  const negated = state.chars[state.at] === "^";
  if (negated) state.at++;
  const tests: ((code: number) => boolean)[] = [];
  for (let first = true; first || state.chars[state.at] !== "]"; first = false) {
    const low = classItem(state);
    const isRange = state.chars[state.at] === "-" && state.chars[state.at + 1] !== "]";
    if (typeof low !== "number") tests.push(low);
    else if (!isRange) tests.push((code) => code === low);
    if (!isRange) continue;
    state.at++;
    const high = classItem(state);
    if (typeof low !== "number" || typeof high !== "number" || high < low) {
      throw new RegexError("whose ranges are in order");
    }
    tests.push((code) => code >= low && code <= high);
  }
  state.at++;
  return { kind: "char", test: (code) => tests.some((test) => test(code)) !== negated };
}

function classItem(state: ParserState): number | ((code: number) => boolean) {
  const char = state.chars[state.at++];
  if (char === undefined) throw new RegexError("whose brackets are balanced");
  if (char !== "\\") return codeOf(char);
  const escaped = state.chars[state.at++];
  return escaped === "b" ? 8 : escapedItem(state, escaped);
}

function parseQuantifier(state: ParserState, node: RegexNode): RegexNode {
  const counts = countsAt(state);
  if (!counts) return node;
  const [min, max] = counts;
  const next = state.chars[state.at];
  if (next === "?") state.at++;
  else if (next === "+") throw new RegexError("without possessive quantifiers");
  if (next === "*" || countsAt({ ...state })) {
    throw new RegexError("whose quantifiers follow something");
  }
  return { kind: "repeat", node, min, max };
}

/** Reads a quantifier; undefined, and nothing read, if there is none. */
function countsAt(state: ParserState): readonly [number, number] | undefined {
  const char = state.chars[state.at];
  if (char === "*" || char === "+" || char === "?") {
    state.at++;
    return [char === "+" ? 1 : 0, char === "?" ? 1 : Infinity];
  }
  if (char !== "{") return undefined;
  const ahead = state.chars.slice(state.at, state.at + 20).join("");
  const [text, low = "", comma, high = ""] = /^\{(\d*)(,?)(\d*)\}/.exec(ahead) ?? [];
  if (text === undefined || (low === "" && comma === "")) return undefined;
  const min = Number(low);
  const max = comma === "" ? min : high === "" ? Infinity : Number(high);
  if (min > MAX_COUNT || (max !== Infinity && max > MAX_COUNT)) {
    throw new RegexError(`with counts of at most ${MAX_COUNT}`);
  }
  if (max < min) throw new RegexError("whose counts are in order");
  state.at += text.length;
  return [min, max];
}
