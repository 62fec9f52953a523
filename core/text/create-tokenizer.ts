import type { Tokenizer as NativeTokenizer } from "tokenizers";
import { invariant } from "../errors.ts";
import { align, assemble, type Range } from "./assemble.ts";
import { cleanUpSpaces } from "./clean-up-spaces.ts";
import { specialCount, type TemplatePart, type Templates } from "./template.ts";
import type { EncodeOptions, TextInput, TokenIds, Tokenizer, WindowOptions } from "./tokenizer.ts";
import { checkStride, truncate, windowRanges, type Lengths } from "./truncation.ts";

/** What a tokenizer is made of besides the library's object. */
export interface TokenizerParts extends Pick<Tokenizer, "source" | "specialIds"> {
  readonly templates: Templates;
}

/**
 * Wraps the library's tokenizer, which must have neither truncation nor padding set.
 *
 * The library only splits texts into tokens. Cutting, windows and special tokens are done here: its own truncation
 * is a setting of the shared object, ends the process when a window can't hold its stride, and makes every
 * combination of both texts' cut-off parts.
 */
export function createTokenizer(native: NativeTokenizer, parts: TokenizerParts): Tokenizer {
  const { templates, source, specialIds } = parts;
  const split = (texts: string[]) => native.encodeBatch(texts, { addSpecialTokens: false });

  return {
    source,
    specialIds,
    vocabSize: native.getVocabSize(true),
    specialCount: {
      single: specialCount(templates.single),
      pair: specialCount(templates.pair),
    },

    async encode(inputs, options = {}) {
      const results: TokenIds[] = [];
      for (let start = 0; start < inputs.length; start += chunkSize) {
        const chunk = inputs.slice(start, start + chunkSize);
        const encodings = await split(chunk.flatMap(textsOf));
        let at = 0;
        for (const input of chunk) {
          const template = templateOf(templates, input, options);
          const count = input.pair === undefined ? 1 : 2;
          const tokens = encodings.slice(at, at + count).map((encoding) => encoding.getIds());
          results.push(assemble(template, tokens, cutOnce(tokens, template, options)));
          at += count;
        }
      }
      return results;
    },

    async windows(input, options = {}) {
      const template = templateOf(templates, input, options);
      checkStride(options.stride ?? 0, roomIn(templates.single, options.maxLength));
      const encodings = await split(textsOf(input));
      const tokens = encodings.map((encoding) => encoding.getIds());
      const offsets = encodings.map((encoding) => encoding.getOffsets());
      return cutWindows(tokens, template, options).map((kept) =>
        Object.assign(assemble(template, tokens, kept), align(template, offsets, kept)),
      );
    },

    async decode(ids, { skipSpecialTokens = true, cleanUpSpaces: clean = false } = {}) {
      const text = await native.decode(Array.from(ids), skipSpecialTokens);
      return clean ? cleanUpSpaces(text) : text;
    },

    tokenOf: (id) => native.idToToken(id) ?? undefined,
  };
}

// inputs that are with the library at a time: bounds the memory of its per-token records
const chunkSize = 4096;

const textsOf = ({ text, pair }: TextInput) => (pair === undefined ? [text] : [text, pair]);

function templateOf(templates: Templates, input: TextInput, options: EncodeOptions) {
  const template = input.pair === undefined ? templates.single : templates.pair;
  return options.addSpecialTokens === false ? template.filter((part) => "text" in part) : template;
}

function cutOnce(
  tokens: readonly (readonly number[])[],
  template: readonly TemplatePart[],
  { maxLength, cut = "longest" }: EncodeOptions,
): Range[] {
  const room = roomIn(template, maxLength);
  return truncate(lengthsOf(tokens), room, cut).map((end) => [0, end] as const);
}

function cutWindows(
  tokens: readonly (readonly number[])[],
  template: readonly TemplatePart[],
  options: WindowOptions,
): Range[][] {
  const { maxLength, stride } = options;
  if (maxLength === undefined || stride === undefined) return [cutOnce(tokens, template, options)];
  const isPair = tokens.length > 1;
  const cut = isPair ? options.cut : "first";
  invariant(cut === "first" || cut === "second", "windows of a pair split one of its texts");
  const lengths = lengthsOf(tokens);
  const room = roomIn(template, maxLength);
  const kept = truncate(lengths, room, cut);
  const which = cut === "first" ? 0 : 1;
  return windowRanges(lengths[which], kept[which], stride).map((range) => {
    const whole: Range = [0, lengths[1 - which] ?? 0];
    return which === 0 ? [range, whole] : [whole, range];
  });
}

const lengthsOf = ([first, second]: readonly (readonly number[])[]): Lengths => [
  first?.length ?? 0,
  second?.length ?? 0,
];

/** Tokens of text that fit beside the special ones. Unbounded when those alone are too many, as in transformers. */
function roomIn(template: readonly TemplatePart[], maxLength = Number.POSITIVE_INFINITY): number {
  const room = maxLength - specialCount(template);
  return room < 0 ? Number.POSITIVE_INFINITY : room;
}
