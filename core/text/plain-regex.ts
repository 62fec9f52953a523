/** Patterns of published tokenizers that are known to run in linear time, though they look otherwise. */
const KNOWN_PATTERNS: ReadonlySet<string> = new Set([
  // GPT-2, BART, RoBERTa
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  // GPT-4, Llama 3
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  // Qwen 2
  String.raw`(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
]);

// Ways to match at one place that one alternative may have, apart from its one unbounded repeat.
const MAX_WAYS = 10_000;

/**
 * Whether a regular expression cannot run out of control: it is a known one, or each alternative has
 * at most one unbounded repeat, none of a group, and few other choices. The native library ends the
 * process when a match takes too many steps.
 */
export function isPlainRegex(pattern: string): boolean {
  if (KNOWN_PATTERNS.has(pattern)) return true;
  // Back references and conditions; named, atomic and other special groups.
  if (/\\[1-9kgGKXR]|\(\?(?![:=!]|<[=!]|i:)|\(\*/.test(pattern)) return false;
  return isBounded(withoutClasses(pattern));
}

/** The pattern with each escaped character and character class as one plain letter. */
function withoutClasses(pattern: string): string {
  let plain = "";
  let depth = 0; // of classes: the library's may be nested
  for (let at = 0; at < pattern.length; at++) {
    const char = pattern[at]!;
    if (char === "\\") {
      at++;
      const braces = /^(?:[pP]|x)\{[^}]*\}/.exec(pattern.slice(at, at + 40))?.[0];
      at += (braces ?? " ").length - 1;
      if (depth === 0) plain += "a";
    } else if (char === "[") depth++;
    else if (char === "]" && depth > 0) {
      depth--;
      if (depth === 0) plain += "a";
    } else if (depth === 0) plain += char;
  }
  return depth === 0 ? plain : "(a*)*"; // an unclosed class: never plain
}

function isBounded(pattern: string): boolean {
  const plain = pattern.replaceAll(/\(\?(?:i?:|<?[=!])/g, "(");
  if (/\)(?:[*+]|\{)/.test(plain)) return false;
  let [ways, unbounded, depth] = [1, 0, 0];
  for (const [token, least, most] of plain.matchAll(/[()|*+?]|\{(\d*)(?:,(\d*))?\}/g)) {
    if (token === "(") depth++;
    else if (token === ")") depth--;
    else if (token === "|" && depth === 0) [ways, unbounded] = [1, 0];
    else if (token === "|" || token === "?") ways *= 2;
    else if (token === "*" || token === "+" || most === "") unbounded++;
    else ways *= Math.max(1, Number(most ?? least));
    if (ways > MAX_WAYS || unbounded > 1) return false;
  }
  return true;
}
