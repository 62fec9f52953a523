import type { SquadExample } from "../data/squad-question.ts";
import { errors, invariant } from "../errors.ts";
import { assemble, type Range } from "../text/assemble.ts";
import { specialCount, type TemplatePart } from "../text/template.ts";
import type { TokenIds, Tokenizer } from "../text/tokenizer.ts";
import { checkStride, windowRanges } from "../text/truncation.ts";
import { stripStart } from "../text/white-space.ts";

/** Sizes of windows. */
export interface QuestionWindowOptions {
  /** Tokens of a window, special tokens included. */
  readonly maxLength: number;
  /** Context tokens shared by adjacent windows. */
  readonly stride: number;
}

/** A feature: a question with a part of its context, as the model reads it. */
export interface QuestionWindow extends TokenIds {
  readonly example: SquadExample;
  /** Index of the example. */
  readonly index: number;
  /** Window position of the first of the context's C tokens. */
  readonly contextFirst: number;
  /** [C], start and end of each context token's text, in code points of the context. */
  readonly textStart: Int32Array;
  readonly textEnd: Int32Array;
}

/**
 * Yields the windows of every example, in order. A context that does not fit beside its question is
 * split into overlapping windows (run_qa's truncation "only_second"; as there, leading white space
 * of a question is dropped). Each context is tokenised once for all its questions. Throws
 * E_TOKENIZE if a question leaves too little room for its context.
 */
export async function* questionWindows(
  examples: readonly SquadExample[],
  tokenizer: Tokenizer,
  options: QuestionWindowOptions,
): AsyncGenerator<QuestionWindow> {
  checkStride(options.stride, options.maxLength - tokenizer.specialCount.single);
  const template = await pairTemplate(tokenizer);
  for (let start = 0; start < examples.length; start += chunkSize) {
    const chunk = examples.slice(start, start + chunkSize);
    const questions = await tokenizer.encode(
      chunk.map(({ question }) => ({ text: stripStart(question) })),
      { addSpecialTokens: false },
    );
    const contexts = await tokenizeContexts(chunk, tokenizer);
    for (const [i, example] of chunk.entries()) {
      const context = contexts.get(example.context);
      const question = questions[i];
      invariant(context !== undefined && question !== undefined, `example ${i} has no tokens`);
      const texts = { question: Array.from(question.ids), context };
      for (const window of windowsOf(example.id, texts, template, options)) {
        yield { ...window, example, index: start + i };
      }
    }
  }
}

// --- internal ---

/** Examples whose tokens are in memory at a time. */
const chunkSize = 4096;
/** Contexts tokenised in parallel. */
const concurrentContexts = 64;

interface TokenizedText {
  readonly ids: readonly number[];
  readonly textStart: Int32Array;
  readonly textEnd: Int32Array;
}

/** Tokenises every distinct context of some examples, unsplit and without special tokens. */
async function tokenizeContexts(
  examples: readonly SquadExample[],
  tokenizer: Tokenizer,
): Promise<ReadonlyMap<string, TokenizedText>> {
  const texts = [...new Set(examples.map(({ context }) => context))];
  const tokenized = new Map<string, TokenizedText>();
  for (let done = 0; done < texts.length; done += concurrentContexts) {
    const batch = texts.slice(done, done + concurrentContexts);
    const windows = await Promise.all(
      batch.map((text) => tokenizer.windows({ text }, { addSpecialTokens: false })),
    );
    batch.forEach((text, i) => {
      const [whole] = windows[i] ?? [];
      invariant(whole !== undefined, "a text without a window");
      tokenized.set(text, {
        ids: Array.from(whole.ids),
        textStart: Int32Array.from(whole.offsets, ([start]) => start),
        textEnd: Int32Array.from(whole.offsets, ([, end]) => end),
      });
    });
  }
  return tokenized;
}

/** The tokenizer's template of special tokens around a pair, derived from a sample. */
async function pairTemplate(tokenizer: Tokenizer): Promise<TemplatePart[]> {
  const [sample] = await tokenizer.windows({ text: "a", pair: "a" });
  const template: TemplatePart[] = [];
  sample?.sequences.forEach((text, i) => {
    const typeId = sample.typeIds[i]!;
    if (text === null) template.push({ special: sample.ids[i]!, typeId });
    else if (text !== sample.sequences[i - 1]) template.push({ text, typeId });
  });
  return template;
}

function* windowsOf(
  id: string,
  { question, context }: { question: readonly number[]; context: TokenizedText },
  template: readonly TemplatePart[],
  { maxLength, stride }: QuestionWindowOptions,
): Generator<Omit<QuestionWindow, "example" | "index">> {
  const { ids, textStart, textEnd } = context;
  const room = maxLength - specialCount(template) - question.length;
  checkRoom(id, { question: question.length, context: ids.length, room, stride });
  const whole: Range = [0, question.length];
  for (const part of windowRanges(ids.length, room, stride)) {
    yield {
      ...assemble(template, [question, ids], [whole, part]),
      contextFirst: specialsBefore(template) + question.length,
      textStart: textStart.subarray(...part),
      textEnd: textEnd.subarray(...part),
    };
  }
}

/** Special tokens before the second text. */
function specialsBefore(template: readonly TemplatePart[]): number {
  const second = template.findIndex((part) => "text" in part && part.text === 1);
  return template.slice(0, second).filter((part) => "special" in part).length;
}

interface Sizes {
  readonly question: number;
  readonly context: number;
  /** Tokens left for the context beside the question and special tokens. */
  readonly room: number;
  readonly stride: number;
}

function checkRoom(id: string, { question, context, room, stride }: Sizes): void {
  if (context <= room || room > stride) return;
  throw errors.tokenize(
    `windows of question "${id}" must hold more context tokens than the ${stride} that they share`,
    `a question of ${question} tokens, which leaves room for ${Math.max(room, 0)}`,
    "raise --max-length, lower --doc-stride, or shorten the question",
  );
}
