import { printable } from "../printable.ts";

/** Markup, as opposed to text that has to be escaped. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

type Part = Markup | string | number | undefined | readonly (Markup | undefined)[];

/**
 * Markup of a template. Every text in it is escaped and its controls are shown as `printable` shows
 * them; only other markup is taken as it is.
 */
export function html(texts: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  const joined = texts.map((text, i) => (i === 0 ? text : markupOf(parts[i - 1]) + text));
  return new Markup(joined.join(""));
}

/**
 * A value as JSON that can stand in a script element: nothing in it ends the element, and controls
 * in its texts are shown as `printable` shows them.
 */
export const scriptJson = (value: unknown): Markup =>
  new Markup(shownJson(value).replaceAll("<", "\\u003c"));

/** A copy of a JSON value in which every text is `printable`. */
export const printableTexts = (value: unknown): unknown => JSON.parse(shownJson(value));

// --- internal ---

const shownJson = (value: unknown) =>
  JSON.stringify(value, (_key, one: unknown) => (typeof one === "string" ? printable(one) : one));

function markupOf(part: Part): string {
  if (part === undefined) return "";
  if (part instanceof Markup) return part.text;
  if (typeof part === "object") return part.map((one) => one?.text ?? "").join("");
  return printable(String(part)).replaceAll(/[&<>"']/g, (sign) => escapes[sign]!);
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
