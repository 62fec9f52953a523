import type { Tokenizer } from "tokenizers";
import { isJsonObject, parseJsonObject } from "../io/json-file.ts";

/**
 * Builds a tokenizer and encodes texts that its own patterns and tokens make hard. Throws when the
 * library does, or when a text grows out of proportion; may also crash or hang, so it runs in a
 * process of its own.
 */
export async function tryTokenizer(bytes: Uint8Array): Promise<void> {
  const library = await import("tokenizers");
  const json = new TextDecoder().decode(bytes);
  const tokenizer = library.Tokenizer.fromString(json);
  tokenizer.disableTruncation();
  tokenizer.disablePadding();
  const { patterns, contents } = wordsOf(parseJsonObject(json, "tokenizer"));
  for (const text of hardTexts(patterns, contents)) await tryText(tokenizer, text);
}

// --- internal ---

// Long enough that quadratic time shows.
const RUN_LENGTH = 30_000;
const MAX_RUNS = 12;
const MAX_TOKENS_PER_CHARACTER = 64;

async function tryText(tokenizer: Tokenizer, text: string): Promise<void> {
  const [first, second] = await tokenizer.encodeBatch([text, "a"], { addSpecialTokens: false });
  const ids = first?.getIds() ?? [];
  if (ids.length > MAX_TOKENS_PER_CHARACTER * (text.length + 16)) {
    throw new Error(`it makes ${ids.length} tokens of ${text.length} characters`);
  }
  await tokenizer.encode(text.slice(0, 100), "a");
  await tokenizer.decode([...ids.slice(0, 1000), ...(second?.getIds() ?? [])], false);
}

function* hardTexts(patterns: readonly string[], contents: readonly string[]): Generator<string> {
  yield "The cat isn't 12 years, naïve ﷺ 漢字 🙂👨‍👩‍👧 \u0301\u0301\r\n\t x_y-z.";
  yield contents.slice(0, 100).join(" ");
  yield contents.slice(0, 100).join("");
  // Each character of the patterns, again and again, and then one that can end no match.
  const characters = new Set(["a", " ", "\n", ...Array.from(patterns.join(""))]);
  for (const character of [...characters].slice(0, MAX_RUNS)) {
    yield `${character.repeat(RUN_LENGTH)}\u0001`;
  }
  for (const word of patterns.slice(0, 4)) yield word.repeat(Math.ceil(1000 / word.length));
}

/** The words in the patterns of every step, and the added tokens. */
function wordsOf(json: Readonly<Record<string, unknown>>) {
  const patterns: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    if (!isJsonObject(value)) return;
    for (const [key, part] of Object.entries(value)) {
      const isPattern = key === "Regex" || key === "String" || key === "content";
      if (isPattern && typeof part === "string") patterns.push(part);
      else visit(part);
    }
  };
  for (const key of ["normalizer", "pre_tokenizer", "decoder"]) visit(json[key]);
  const added: unknown = json["added_tokens"];
  const contents = (Array.isArray(added) ? added : []).flatMap((token: unknown) => {
    const { content } = isJsonObject(token) ? token : {};
    return typeof content === "string" ? [content] : [];
  });
  return { patterns: patterns.filter((word) => word.length > 0), contents };
}
