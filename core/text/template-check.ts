import { excerpt } from "../excerpt.ts";
import { isJsonObject, type JsonObject } from "../io/json-file.ts";

/**
 * Describes what is wrong with the templates of a `TemplateProcessing` step; undefined when nothing
 * is. The native library looks up a template's tokens and texts without a check and ends the process
 * when one is missing.
 */
export function templateFault(step: JsonObject): string | undefined {
  const { single, pair, special_tokens: tokens } = step;
  if (!isJsonObject(tokens)) return "its template has no special_tokens";
  for (const [name, token] of Object.entries(tokens)) {
    if (!isSpecialToken(token))
      return `the special token ${excerpt(name)} of its template is damaged`;
  }
  return partsFault(single, tokens, ["A"]) ?? partsFault(pair, tokens, ["A", "B"]);
}

// --- internal ---

function isSpecialToken(token: unknown): boolean {
  const { ids, tokens } = isJsonObject(token) ? token : {};
  return Array.isArray(ids) && Array.isArray(tokens) && ids.length === tokens.length;
}

/** What is wrong with a template, which must hold each of these texts once. */
function partsFault(
  template: unknown,
  tokens: JsonObject,
  texts: readonly string[],
): string | undefined {
  if (!Array.isArray(template)) return "its template is not a list";
  const found: unknown[] = [];
  for (const part of template) {
    const { SpecialToken: special, Sequence: text } = isJsonObject(part) ? part : {};
    const { id } = isJsonObject(special) ? special : isJsonObject(text) ? text : {};
    if (typeof id !== "string") return `its template holds ${excerpt(part)}`;
    if (isJsonObject(text)) found.push(id);
    else if (!Object.hasOwn(tokens, id))
      return `its template names the unknown token ${excerpt(id)}`;
  }
  if (found.length === texts.length && texts.every((text) => found.includes(text)))
    return undefined;
  return `its template for ${texts.join(" and ")} holds the texts ${excerpt(found)}`;
}
