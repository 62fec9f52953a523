/** The most characters of a file's own text that a message repeats. */
const LONGEST = 80;

/** A text cut to `limit` characters, with "…" for the rest. */
export function cutText(text: string, limit = LONGEST): string {
  if (text.length <= limit) return text;
  // Half a surrogate pair at the cut is replaced: a terminal would show damage.
  return `${text.slice(0, limit).toWellFormed()}…`;
}

/**
 * A value as JSON for a message, cut to about 80 characters. Reads no more of the value than it
 * shows, so a large, deeply nested or cyclic value costs nothing.
 */
export function excerpt(value: unknown, limit = LONGEST): string {
  if (typeof value === "string") return JSON.stringify(cutText(value, limit));
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
