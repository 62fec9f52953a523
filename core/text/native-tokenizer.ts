import type * as tokenizers from "tokenizers";
import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { AdaloraError, errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { describeContent } from "../io/file-errors.ts";
import { jsonFault } from "../io/json-fault.ts";
import { decodeUtf8, type JsonObject, parseJsonObject } from "../io/json-file.ts";
import { duplicateKey } from "../io/json-scan.ts";
import { trialFault } from "../io/trial.ts";
import { inspectTokenizer } from "./tokenizer-check.ts";
import type { TokenizerFile } from "./tokenizer-family.ts";
import type { AddedTokenJson, TokenizerJson, UnigramJson } from "./tokenizer-json.ts";

type Library = typeof tokenizers;

/** The native library, loaded on first use: commands that read no text start without it. */
async function loadLibrary(): Promise<Library> {
  try {
    return await import("tokenizers");
  } catch (cause) {
    if (cause instanceof AdaloraError) throw cause; // from the executable's own loading of it
    const reason = cause instanceof Error ? cause.message : String(cause);
    const hint =
      "the npm package tokenizers has no binary for this machine, or it is not installed";
    throw errors.library("the tokenizer library", [reason], hint);
  }
}

/** Whether text can't be tokenized because this machine can't load the library. */
export const isLibraryMissing = ({ code }: AdaloraError): boolean =>
  code === "E_LIBRARY" || code === "E_MACHINE";

/** The library's object, and the size of its vocabulary: every id is smaller. */
export interface BuiltTokenizer {
  readonly native: NativeTokenizer;
  readonly vocabSize: number;
}

/**
 * A tokenizer from a `tokenizer.json`. Throws E_FILE with the library's reason, and before the
 * library sees it for a file that would end the process, hang or fill the memory.
 */
export async function nativeFromFile(file: TokenizerFile): Promise<BuiltTokenizer> {
  const { Tokenizer } = await loadLibrary();
  const text = decodeUtf8(file.bytes, file.path);
  const json = parseFile(text, file);
  const { fault, unusual, highestId } = inspectTokenizer(json);
  if (fault !== undefined) throw unreadable(file.path, new Error(fault));
  if (unusual !== undefined) {
    const found = await trialFault({ kind: "tokenizer", bytes: file.bytes });
    if (found !== undefined) throw unreadable(file.path, new Error(`${found} (it has ${unusual})`));
  }
  try {
    return sized(withoutTruncationAndPadding(Tokenizer.fromString(text)), highestId);
  } catch (cause) {
    throw unreadable(file.path, cause, describeContent(file.bytes));
  }
}

/**
 * The parsed file. What is checked is what the library reads: a key may not occur twice, and text
 * that is no JSON never reaches it, as it acts on what it has read before it finds that out.
 */
function parseFile(text: string, { path, bytes }: TokenizerFile): JsonObject {
  let json: JsonObject;
  try {
    json = parseJsonObject(text, path);
  } catch (cause) {
    const fault = jsonFault(text);
    if (fault === undefined) throw cause; // valid, but no object, or nested too deep
    const rule = `${fault.isCutShort ? "the JSON ends too soon" : "no JSON"} at line ${fault.line}`;
    throw unreadable(path, new Error(rule), describeContent(bytes));
  }
  const duplicate = duplicateKey(text);
  if (duplicate === undefined) return json;
  throw unreadable(path, new Error(`it has the key ${excerpt(duplicate)} twice`));
}

const sized = (native: NativeTokenizer, highestId: number): BuiltTokenizer => ({
  native,
  vocabSize: Math.max(native.getVocabSize(true), highestId + 1),
});

/** A tokenizer from converted vocabulary files; errors name `where`. */
export async function nativeFromJson(json: TokenizerJson, where: string): Promise<BuiltTokenizer> {
  const library = await loadLibrary();
  const { fault, highestId } = inspectTokenizer({ ...json });
  if (fault !== undefined) throw unreadable(where, new Error(fault));
  try {
    const native =
      json.model.type === "Unigram"
        ? fromUnigram(library, json, json.model)
        : withoutTruncationAndPadding(library.Tokenizer.fromString(JSON.stringify(json)));
    return sized(native, highestId);
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
    if (tokenizer.tokenToId(content) === id) continue;
    throw new Error(`the added token ${excerpt(content)} must have the id ${id}`);
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
  const rule = content ?? cutText(reason, 300);
  return errors.file(
    where,
    `cannot be used as a tokenizer: ${rule}`,
    "download the file again: its size or checksum should match the original's",
    cause,
  );
}
