import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { errors, invariant } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { align, assemble, type Range } from "./assemble.ts";
import { cleanUpSpaces } from "./clean-up-spaces.ts";
import { specialCount, type TemplatePart, type Templates } from "./template.ts";
import type {
  EncodedInput,
  EncodeOptions,
  TextInput,
  Tokenizer,
  WindowOptions,
} from "./tokenizer.ts";
import { checkStride, truncate, windowRanges, type Lengths } from "./truncation.ts";

/** The parts of a tokenizer besides the library's object. */
interface TokenizerParts extends Pick<Tokenizer, "source" | "specialIds" | "vocabSize"> {
  readonly templates: Templates;
}

/**
 * Wraps the library's tokenizer, which must have neither truncation nor padding enabled.
 *
 * The library only splits texts into tokens; truncation, windows and special tokens are done here.
 * The library's own truncation is a setting of the shared object, ends the process when a window
 * can't hold its stride, and produces every combination of both texts' overflowing parts.
 */
export function createTokenizer(native: NativeTokenizer, parts: TokenizerParts): Tokenizer {
  const { templates, source, specialIds, vocabSize } = parts;
  const tokenize = (texts: string[]) =>
    orFileError(native.encodeBatch(texts, { addSpecialTokens: false }), source);

  return {
    source,
    specialIds,
    vocabSize,
    specialCount: {
      single: specialCount(templates.single),
      pair: specialCount(templates.pair),
    },

    async encode(inputs, options = {}) {
      const results: EncodedInput[] = [];
      for (let start = 0; start < inputs.length; start += inputsPerCall) {
        const chunk = inputs.slice(start, start + inputsPerCall);
        const encodings = await tokenize(chunk.flatMap(textsOf));
        let at = 0;
        for (const input of chunk) {
          const template = templateOf(templates, input, options);
          const count = input.pair === undefined ? 1 : 2;
          const tokens = encodings.slice(at, at + count).map((encoding) => encoding.getIds());
          const kept = truncateInput(tokens, template, options);
          const [first, second] = lengthsOf(tokens);
          const fullLength = specialCount(template) + first + second;
          results.push({ ...assemble(template, tokens, kept), fullLength });
          at += count;
        }
      }
      return results;
    },

    async windows(input, options = {}) {
      const template = templateOf(templates, input, options);
      checkStride(options.stride ?? 0, textCapacity(templates.single, options.maxLength));
      const encodings = await tokenize(textsOf(input));
      const tokens = encodings.map((encoding) => encoding.getIds());
      const offsets = encodings.map((encoding) => encoding.getOffsets());
      return splitIntoWindows(tokens, template, options).map((kept) =>
        Object.assign(assemble(template, tokens, kept), align(template, offsets, kept)),
      );
    },

    async decode(ids, { skipSpecialTokens = true, cleanUpSpaces: clean = false } = {}) {
      const text = await orFileError(native.decode(Array.from(ids), skipSpecialTokens), source);
      return clean ? cleanUpSpaces(text) : text;
    },

    tokenOf: (id) => native.idToToken(id) ?? undefined,
  };
}

/** An error of the library, a word without an unknown token for one, is the file's. */
async function orFileError<T>(result: Promise<T>, source: string): Promise<T> {
  try {
    return await result;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw errors.file(source, `the tokenizer fails: ${cutText(reason, 200)}`, undefined, cause);
  }
}

// inputs per library call: bounds the memory of its per-token records
const inputsPerCall = 4096;

const textsOf = ({ text, pair }: TextInput) => (pair === undefined ? [text] : [text, pair]);

function templateOf(templates: Templates, input: TextInput, options: EncodeOptions) {
  const template = input.pair === undefined ? templates.single : templates.pair;
  return options.addSpecialTokens === false ? template.filter((part) => "text" in part) : template;
}

function truncateInput(
  tokens: readonly (readonly number[])[],
  template: readonly TemplatePart[],
  { maxLength, truncation = "longest" }: EncodeOptions,
): Range[] {
  const capacity = textCapacity(template, maxLength);
  return truncate(lengthsOf(tokens), capacity, truncation).map((end) => [0, end] as const);
}

function splitIntoWindows(
  tokens: readonly (readonly number[])[],
  template: readonly TemplatePart[],
  options: WindowOptions,
): Range[][] {
  const { maxLength, stride } = options;
  if (maxLength === undefined || stride === undefined)
    return [truncateInput(tokens, template, options)];
  const isPair = tokens.length > 1;
  const truncation = isPair ? options.truncation : "first";
  invariant(
    truncation === "first" || truncation === "second",
    "windows of a pair split exactly one of its texts",
  );
  const lengths = lengthsOf(tokens);
  const capacity = textCapacity(template, maxLength);
  const kept = truncate(lengths, capacity, truncation);
  const textIndex = truncation === "first" ? 0 : 1;
  return windowRanges(lengths[textIndex], kept[textIndex], stride).map((range) => {
    const other: Range = [0, lengths[1 - textIndex] ?? 0];
    return textIndex === 0 ? [range, other] : [other, range];
  });
}

const lengthsOf = ([first, second]: readonly (readonly number[])[]): Lengths => [
  first?.length ?? 0,
  second?.length ?? 0,
];

/**
 * Text tokens that fit beside the special tokens. Infinite when the special tokens alone do not
 * fit, as in transformers.
 */
function textCapacity(
  template: readonly TemplatePart[],
  maxLength = Number.POSITIVE_INFINITY,
): number {
  const capacity = maxLength - specialCount(template);
  return capacity < 0 ? Number.POSITIVE_INFINITY : capacity;
}
