/** Whether brackets are nested deeper than `limit`. Strings are skipped; anything else may be damaged. */
export function isNestedDeeper(text: string, limit: number): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (char === QUOTE) {
      at = closingQuote(text, at);
      if (at === -1) return false;
    } else if (char === OPEN_BRACKET || char === OPEN_BRACE) {
      if (++depth > limit) return true;
    } else if (char === CLOSE_BRACKET || char === CLOSE_BRACE) depth--;
  }
  return false;
}

/**
 * The first key that occurs twice in one object of valid JSON text (JSON.parse silently keeps the
 * last).
 */
export function duplicateKey(json: string): string | undefined {
  // The keys of each open object; an open list has none.
  const open: Keys[] = [];
  for (let at = 0; at < json.length; at++) {
    const char = json.charCodeAt(at);
    if (char === OPEN_BRACE || char === OPEN_BRACKET) open.push({ few: [], many: undefined });
    else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) open.pop();
    else if (char === QUOTE) {
      const start = at;
      at = closingQuote(json, start);
      if (at === -1) return undefined;
      if (json.charCodeAt(skipSpace(json, at + 1)) !== COLON) continue;
      const raw = json.slice(start + 1, at);
      const key = raw.includes("\\") ? String(JSON.parse(`"${raw}"`)) : raw;
      const keys = open.at(-1);
      if (keys !== undefined && !addKey(keys, key)) return key;
    }
  }
  return undefined;
}

// --- internal ---

/**
 * Offset of the quote that ends the JSON string which begins at `start`; -1 when it is not closed.
 * Linear, and without the length limit of a regular expression.
 */
function closingQuote(text: string, start: number): number {
  for (let at = start + 1; ;) {
    const quote = text.indexOf('"', at);
    if (quote === -1) return -1;
    let first = quote;
    while (text.charCodeAt(first - 1) === BACKSLASH && first - 1 > start) first--;
    if ((quote - first) % 2 === 0) return quote;
    at = quote + 1;
  }
}

/** The keys of an object. Most objects have few, and a set for each would cost far more than them. */
interface Keys {
  readonly few: string[];
  many: Set<string> | undefined;
}

/** Adds a key; false when it is there already. */
function addKey(keys: Keys, key: string): boolean {
  if (keys.many === undefined) {
    if (keys.few.includes(key)) return false;
    keys.few.push(key);
    if (keys.few.length > 8) keys.many = new Set(keys.few);
    return true;
  }
  if (keys.many.has(key)) return false;
  keys.many.add(key);
  return true;
}

const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

function skipSpace(text: string, start: number): number {
  let at = start;
  while (text.charCodeAt(at) <= 0x20) at++;
  return at;
}
