import { existsSync } from "node:fs";
import { basename, join } from "node:path";
import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { readJsonObject } from "../io/json-file.ts";
import { readRegular } from "../io/regular-file.ts";
import { createTokenizer } from "./create-tokenizer.ts";
import { nativeFromFile, nativeFromJson } from "./native-tokenizer.ts";
import { specialTokenNames } from "./special-tokens.ts";
import { probeTemplates } from "./template.ts";
import type { TokenizerConfig, TokenizerFamily, TokenizerFile } from "./tokenizer-family.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** The files that a checkpoint's tokenizer is built from, read but not parsed. */
export interface TokenizerSource {
  readonly family: TokenizerFamily;
  /** `tokenizer.json` alone, or the vocabulary files that the family converts. */
  readonly files: readonly [TokenizerFile, ...TokenizerFile[]];
  readonly config: TokenizerConfig;
}

/** The file that holds a whole tokenizer. */
export const TOKENIZER_JSON = "tokenizer.json";

/**
 * Reads the tokenizer files of a checkpoint's folder: `tokenizer.json`, otherwise the vocabulary
 * files that the family converts. Cheap, and enough to identify the tokenizer in a cache
 * (`tokenizerFingerprint`). Throws E_FILE when the folder has neither.
 */
export function readTokenizer(dir: string, family: TokenizerFamily): TokenizerSource {
  const configPath = join(dir, "tokenizer_config.json");
  const config = existsSync(configPath) ? readJsonObject(configPath) : {};
  const convertible = family.convert?.files ?? [];
  for (const names of [[TOKENIZER_JSON], convertible]) {
    const [first, ...rest] = names.map((name) => join(dir, name));
    if (first === undefined || ![first, ...rest].every((path) => existsSync(path))) continue;
    return { family, files: [readTokenizerFile(first), ...rest.map(readTokenizerFile)], config };
  }
  const known = [TOKENIZER_JSON, ...(convertible.length > 0 ? [convertible.join(" with ")] : [])];
  throw errors.file(
    dir,
    existsSync(dir)
      ? `holds no tokenizer: looked for ${known.join(", then ")}`
      : "the tokenizer's folder does not exist",
    `copy the ${family.name} checkpoint's ${known.join(" or ")} there, or name a folder that has it with --tokenizer`,
  );
}

// incremented when a conversion or the library changes the ids for the same files
const conversionVersion = 1;

/** A hash of all inputs of a tokenizer: equal hashes mean equal ids for every text. */
export function tokenizerFingerprint(source: TokenizerSource): string {
  const { family, files, config } = source;
  const hash = new Bun.CryptoHasher("sha256");
  const version = convertsFiles(source) ? (family.convert?.version ?? "") : "";
  hash.update(JSON.stringify([conversionVersion, family.name, family.special, config]) + version);
  for (const { bytes } of files) hash.update(`\n${bytes.length}\n`).update(bytes);
  return hash.digest("hex");
}

/** Whether the files are a vocabulary that the family converts, not a `tokenizer.json`. */
export function convertsFiles({ family, files }: TokenizerSource): boolean {
  return basename(files[0].path) !== TOKENIZER_JSON && family.convert !== undefined;
}

const tokenizers = new WeakMap<TokenizerSource, Promise<Tokenizer>>();

/**
 * The tokenizer of a source, built on the first call: about 0.2 s for DeBERTa v3's 128,000 pieces.
 * Throws E_FILE when a file is broken, E_LIBRARY without the native library.
 */
export function buildTokenizer(source: TokenizerSource): Promise<Tokenizer> {
  const known = tokenizers.get(source) ?? build(source);
  tokenizers.set(source, known);
  return known;
}

async function build(source: TokenizerSource): Promise<Tokenizer> {
  const { family, files, config } = source;
  const [file] = files;
  const { native, vocabSize } =
    convertsFiles(source) && family.convert
      ? await nativeFromJson(family.convert.build(files, config), file.path)
      : await nativeFromFile(file);
  const idOf = (token: string) => {
    const id = native.tokenToId(token);
    if (id !== null) return id;
    const hint = `expected a ${family.name} tokenizer; name its folder with --tokenizer`;
    throw errors.file(file.path, `the tokenizer has no special token ${excerpt(token)}`, hint);
  };
  const { pad, cls, sep, unk } = specialTokenNames(family.special, config);
  return createTokenizer(native, {
    source: file.path,
    specialIds: { pad: idOf(pad), cls: idOf(cls), sep: idOf(sep), unk: idOf(unk) },
    vocabSize,
    templates: await probeTemplates(native, vocabSize, file.path),
  });
}

/**
 * Throws E_FILE when the tokenizer has ids without an embedding in the model; `where` is the
 * model's config.
 */
export function checkVocabulary(tokenizer: Tokenizer, vocabSize: number, where: string): void {
  if (tokenizer.vocabSize <= vocabSize) return;
  throw errors.file(
    tokenizer.source,
    `the tokenizer's ${tokenizer.vocabSize} tokens do not fit the model: "vocab_size" in ${where} is ${vocabSize}`,
    "the tokenizer belongs to another model: name the model's own with --tokenizer",
  );
}

const readTokenizerFile = (path: string): TokenizerFile => ({ path, bytes: readRegular(path) });
