import { excerpt } from "../excerpt.ts";
import { isJsonObject, type JsonObject } from "../io/json-file.ts";
import { charsmapFault } from "./charsmap.ts";
import { isPlainRegex } from "./plain-regex.ts";
import { templateFault } from "./template-check.ts";

/** What is known about a `tokenizer.json` before the native library sees it. */
export interface TokenizerFindings {
  /** Why the file cannot be used. */
  readonly fault: string | undefined;
  /** A part that no known family has: the file must be tried in a process of its own first. */
  readonly unusual: string | undefined;
  /** The highest id of the vocabulary; a vocabulary may have holes. */
  readonly highestId: number;
}

/**
 * Checks a parsed `tokenizer.json` for what makes the native library end the process, hang or fill
 * the memory. The library trusts its files: it panics on a template's missing token, on a character
 * map that points outside itself and on a regular expression that backtracks too long.
 */
export function inspectTokenizer(json: JsonObject): TokenizerFindings {
  const findings = new Findings();
  const highestId = inspectModel(json["model"], findings);
  const steps = [
    ...stepsOf(json["normalizer"], "normalizers"),
    ...stepsOf(json["pre_tokenizer"], "pretokenizers"),
    ...stepsOf(json["decoder"], "decoders"),
    ...stepsOf(json["post_processor"], "processors"),
  ];
  if (steps.length > MAX_STEPS)
    findings.fault = `it has ${steps.length} steps, at most ${MAX_STEPS}`;
  let growth = 1;
  for (const step of steps.slice(0, MAX_STEPS)) growth *= inspectStep(step, findings);
  if (growth > MAX_GROWTH) findings.fault ??= `its steps may make a text ${growth} times as long`;
  inspectAddedTokens(json["added_tokens"], findings);
  return { fault: findings.fault, unusual: findings.unusual, highestId };
}

// --- internal ---

const MAX_STEPS = 100;
// Times that all steps together may lengthen a text; XLM-R's may: 33 bytes for a character, 3 for a space.
const MAX_GROWTH = 256;
// Characters of a piece, pattern or added token; the time for a text grows with the longest.
const MAX_LENGTH = 1000;

/** The first fault and the first unusual part. */
class Findings {
  fault: string | undefined;
  unusual: string | undefined;
}

/** The steps of one kind, sequences (which may be nested) flattened. */
function stepsOf(root: unknown, key: string): unknown[] {
  if (root === undefined || root === null) return [];
  if (!isJsonObject(root) || root["type"] !== "Sequence") return [root];
  const list = root[key];
  return Array.isArray(list) ? list.flatMap((step) => stepsOf(step, key)) : [root];
}

/** Steps without settings that matter here. */
const HARMLESS_STEPS: ReadonlySet<unknown> = new Set(
  [
    "Metaspace Strip StripAccents Lowercase BertNormalizer Nmt NFC NFD",
    "ByteLevel BertPreTokenizer Whitespace WhitespaceSplit Punctuation Digits",
    "RobertaProcessing BertProcessing WordPiece BPEDecoder ByteFallback Fuse",
  ].flatMap((names) => names.split(" ")),
);

/** Unicode's own bound, in characters: U+FDFA becomes 18. */
const COMPATIBILITY_GROWTH = 18;

/** Checks a step; returns how many times it may lengthen a text. */
function inspectStep(step: unknown, findings: Findings): number {
  const type = isJsonObject(step) ? step["type"] : undefined;
  if (!isJsonObject(step) || typeof type !== "string") {
    findings.unusual ??= `a step without a type: ${excerpt(step)}`;
    return 1;
  }
  if (HARMLESS_STEPS.has(type)) return 1;
  switch (type) {
    case "NFKC":
    case "NFKD":
      return COMPATIBILITY_GROWTH;
    case "Precompiled":
      return inspectCharsmap(step["precompiled_charsmap"], findings);
    case "Replace":
      return inspectReplace(step, findings);
    case "TemplateProcessing":
      findings.fault ??= templateFault(step);
      return 1;
    case "Prepend":
      if (byteLength(step["prepend"]) > MAX_LENGTH) findings.fault ??= "it prepends a long text";
      return 1;
    default:
      inspectPattern(step["pattern"], findings);
      findings.unusual ??= `a step of type ${excerpt(type)}`;
      return 1;
  }
}

const byteLength = (text: unknown) => (typeof text === "string" ? Buffer.byteLength(text) : 0);

function inspectCharsmap(base64: unknown, findings: Findings): number {
  const bytes = Buffer.from(typeof base64 === "string" ? base64 : "", "base64");
  // Strict, as Node's decoder skips what is no base64 and the library panics on it.
  if (bytes.toString("base64") !== base64) findings.fault ??= "its character map is not base64";
  findings.fault ??= charsmapFault(bytes);
  return MAX_CHARSMAP_GROWTH;
}

// `charsmapFault` allows 64 bytes for a character; only those of 2 bytes and more have so long texts.
const MAX_CHARSMAP_GROWTH = 32;

function inspectReplace(step: JsonObject, findings: Findings): number {
  const { pattern, content } = step;
  const shortest = inspectPattern(pattern, findings);
  const isSpaces = isJsonObject(pattern) && pattern["Regex"] === " {2,}";
  const growth = byteLength(content) / Math.max(1, shortest) + (shortest === 0 ? 1 : 0);
  if (!isSpaces && (growth > 1 || byteLength(content) === 0 || !hasString(pattern))) {
    findings.unusual ??= `a replacement of ${excerpt(pattern)} by ${excerpt(content)}`;
  }
  return Math.max(1, growth);
}

const hasString = (pattern: unknown) =>
  isJsonObject(pattern) && typeof pattern["String"] === "string";

/** Checks a pattern; returns the bytes of its shortest match, as far as that is known. */
function inspectPattern(pattern: unknown, findings: Findings): number {
  const { Regex: regex, String: plain } = isJsonObject(pattern) ? pattern : {};
  const text = typeof regex === "string" ? regex : typeof plain === "string" ? plain : "";
  if (text.length > MAX_LENGTH) findings.fault ??= `a pattern has ${text.length} characters`;
  else if (typeof regex === "string" && !isPlainRegex(regex)) {
    findings.fault ??= `its pattern ${excerpt(regex)} may take exponential time`;
  }
  return typeof regex === "string" ? Number(regex === " {2,}") * 2 : byteLength(text);
}

/** Checks the model; returns its highest id, -1 for a model in an unknown format. */
function inspectModel(model: unknown, findings: Findings): number {
  if (!isJsonObject(model)) return -1; // the library reports it
  const { type, vocab } = model;
  const known = new Set<unknown>(["Unigram", "BPE", "WordPiece", "WordLevel"]);
  if (!known.has(type)) findings.unusual ??= `a model of type ${excerpt(type)}`;
  for (const key of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    if (type === "BPE" && byteLength(model[key]) > 0) findings.unusual ??= `BPE with ${key}`;
  }
  const longestWord = model["max_input_chars_per_word"];
  if (typeof longestWord === "number" && longestWord > MAX_LENGTH) {
    findings.fault ??= `it splits words of up to ${longestWord} characters`;
  }
  const entries = isJsonObject(vocab) ? vocab : {};
  const pieces = Array.isArray(vocab) ? vocab.map(pieceOf) : Object.keys(entries);
  const longest = pieces.reduce((most, { length }) => Math.max(most, length), 0);
  if (longest > MAX_LENGTH)
    findings.fault ??= `a piece of its vocabulary has ${longest} characters`;
  if (Array.isArray(vocab)) return vocab.length - 1;
  return highest(Object.values(entries));
}

const pieceOf = (entry: unknown): string => {
  const piece: unknown = Array.isArray(entry) ? entry[0] : "";
  return typeof piece === "string" ? piece : "";
};

const highest = (ids: readonly unknown[]): number =>
  ids.reduce<number>((most, id) => (typeof id === "number" && id > most ? id : most), -1);

function inspectAddedTokens(tokens: unknown, findings: Findings): void {
  if (!Array.isArray(tokens)) return;
  for (const token of tokens) {
    const { content, normalized } = isJsonObject(token) ? token : {};
    if (typeof content !== "string") continue; // the library reports it
    if (content.length > MAX_LENGTH)
      findings.fault ??= `an added token has ${content.length} characters`;
    // The library panics when normalisation leaves nothing of a token. It leaves letters and signs.
    if (normalized !== false && !/[\x21-\x7e]/.test(content)) {
      findings.unusual ??= `an added token ${excerpt(content)} that is normalized`;
    }
  }
}
