import type * as tokenizers from "tokenizers";
import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { errors, invariant } from "../errors.ts";
import { describeContent } from "../io/file-errors.ts";
import { decodeUtf8 } from "../io/json-file.ts";
import { charsmapFault } from "./charsmap.ts";
import type { TokenizerFile } from "./tokenizer-family.ts";
import type { AddedTokenJson, TokenizerJson, UnigramJson } from "./tokenizer-json.ts";

type Library = typeof tokenizers;

/** The native library, loaded on first use: commands that read no text start without it. */
async function loadLibrary(): Promise<Library> {
  try {
    return await import("tokenizers");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hint =
      "the npm package tokenizers has no binary for this machine, or it is not installed";
    throw errors.library("the tokenizer library", [reason], hint);
  }
}

/** A tokenizer from a `tokenizer.json`. Throws E_FILE with the library's reason. */
export async function nativeFromFile(file: TokenizerFile): Promise<NativeTokenizer> {
  const { Tokenizer } = await loadLibrary();
  const text = decodeUtf8(file.bytes, file.path);
  for (const [, base64 = ""] of text.matchAll(/"precompiled_charsmap"\s*:\s*"([^"]*)"/g)) {
    const fault = charsmapFault(Buffer.from(base64, "base64"));
    if (fault !== undefined) throw unreadable(file.path, new Error(fault));
  }
  try {
    return withoutTruncationAndPadding(Tokenizer.fromString(text));
  } catch (cause) {
    throw unreadable(file.path, cause, describeContent(file.bytes));
  }
}

/** A tokenizer from converted vocabulary files; errors name `where`. */
export async function nativeFromJson(json: TokenizerJson, where: string): Promise<NativeTokenizer> {
  const native = await loadLibrary();
  try {
    return json.model.type === "Unigram"
      ? fromUnigram(native, json, json.model)
      : withoutTruncationAndPadding(native.Tokenizer.fromString(JSON.stringify(json)));
  } catch (cause) {
    throw unreadable(where, cause);
  }
}

/**
 * Passes the vocabulary to the library as an array: its JSON parser gets the last bit of scores
 * wrong, and parsing them takes a third of the load time. Everything else is passed as JSON, with a
 * stub vocabulary up to the unknown piece.
 */
function fromUnigram(
  { Tokenizer, Unigram, AddedToken }: Library,
  json: TokenizerJson,
  model: UnigramJson,
): NativeTokenizer {
  const stubModel = { ...model, vocab: model.vocab.slice(0, model.unk_id + 1) };
  const tokenizer = Tokenizer.fromString(
    JSON.stringify({ ...json, added_tokens: [], model: stubModel }),
  );
  tokenizer.setModel(
    Unigram.init(model.vocab, { unkId: model.unk_id, byteFallback: model.byte_fallback }),
  );
  const tokens = json.added_tokens.map(
    ({ content, special, single_word, lstrip, rstrip, normalized }: AddedTokenJson) =>
      new AddedToken(content, special, {
        singleWord: single_word,
        leftStrip: lstrip,
        rightStrip: rstrip,
        normalized,
      }),
  );
  tokenizer.addAddedTokens(tokens);
  for (const { content, id } of json.added_tokens) {
    invariant(tokenizer.tokenToId(content) === id, `added token ${content} must have id ${id}`);
  }
  return tokenizer;
}

/**
 * A `tokenizer.json` may hold the truncation and padding of the run that wrote it; they are not
 * part of the tokenizer.
 */
function withoutTruncationAndPadding(native: NativeTokenizer): NativeTokenizer {
  native.disableTruncation();
  native.disablePadding();
  return native;
}

function unreadable(where: string, cause: unknown, content?: string) {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const rule = content ?? reason;
  return errors.file(
    where,
    `cannot be used as a tokenizer: ${rule}`,
    "download the file again: its size or checksum should match the original's",
    cause,
  );
}
