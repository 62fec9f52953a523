/** The most characters of a file's own text that a message repeats. */
const LONGEST = 80;

/** A text for a message: one line of at most `limit` characters, with "…" for the rest. */
export function cutText(text: string, limit = LONGEST): string {
  return cut(visible(cut(text, limit)), limit); // an escape is longer than its character
}

/**
 * A value as JSON for a message, cut to about 80 characters. Reads no more of the value than it
 * shows, so a large, deeply nested or cyclic value costs nothing.
 */
export function excerpt(value: unknown, limit = LONGEST): string {
  if (typeof value === "string") return quote(value, limit);
  if (typeof value === "bigint") return String(value);
  if (value === undefined) return "undefined";
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const [open, close] = Array.isArray(value) ? ["[", "]"] : ["{", "}"];
  let text = open;
  for (const key of Array.isArray(value) ? value.keys() : Object.keys(value)) {
    if (text.length > 1) text += ",";
    if (text.length >= limit) return `${text}…${close}`;
    if (typeof key === "string") text += `${excerpt(key, limit - text.length)}:`;
    const part: unknown = Reflect.get(value, key);
    text += excerpt(part, Math.max(1, limit - text.length));
  }
  return text + close;
}

/** The shape of a tensor for a message: "[2, 3]"; at most 16 sizes are shown. */
export function shownShape(shape: readonly number[]): string {
  const shown = shape.slice(0, 16).join(", ");
  return shape.length > 16 ? `[${shown}, …]` : `[${shown}]`;
}

/** The first names of a list for a message: "a, b, c, …"; each is cut as by `cutText`. */
export function firstOf(names: readonly (string | number)[], most: number): string {
  const shown = names.slice(0, most).map((name) => cutText(String(name)));
  return shown.join(", ") + (names.length > most ? ", …" : "");
}

// --- internal ---

// Half a surrogate pair at the cut is replaced: a terminal would show damage.
const cut = (text: string, limit: number) =>
  text.length <= limit ? text : `${text.slice(0, limit).toWellFormed()}…`;

/** A text as JSON. One of characters that become escapes of 6 is cut shorter. */
function quote(text: string, limit: number): string {
  const shown = visible(JSON.stringify(cut(text, limit)));
  return shown.length <= limit + 20
    ? shown
    : visible(JSON.stringify(cut(text, Math.ceil(limit / 6))));
}

/**
 * Control characters, line ends and changes of direction as escapes: a file's text must not write
 * several lines, nor commands for the terminal.
 */
const visible = (text: string) =>
  text.replaceAll(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) => {
    return `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  });
