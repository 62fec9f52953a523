import type { SquadExample } from "../data/squad-question.ts";
import { packTokens, type PackedTokens } from "../data/token-cache.ts";
import { codePoints } from "../text/code-points.ts";
import type { TokenIds, Tokenizer } from "../text/tokenizer.ts";
import {
  type QuestionWindow,
  type QuestionWindowOptions,
  questionWindows,
} from "./question-windows.ts";

/** Training features: windows of contexts with answer positions. */
export interface TrainFeatures {
  /** F windows, N tokens. */
  readonly tokens: PackedTokens;
  /** [F], the index of each window's example. */
  readonly exampleOf: Int32Array;
  /**
   * [F], window positions of the answer's first and last token; 0, the CLS token, if the window
   * lacks it.
   */
  readonly start: Int32Array;
  readonly end: Int32Array;
}

/** Prediction features: windows of contexts with what maps tokens back to text. */
export interface ValidationFeatures {
  /** F windows, N tokens. */
  readonly tokens: PackedTokens;
  /** [F], the index of each window's example. */
  readonly exampleOf: Int32Array;
  /**
   * [F], window positions of the context's tokens: from `contextFirst`, up to and excluding
   * `contextEnd`.
   */
  readonly contextFirst: Int32Array;
  readonly contextEnd: Int32Array;
  /**
   * [N], start and end of a context token's text, in code points of the context; 0 for other
   * tokens.
   */
  readonly textStart: Int32Array;
  readonly textEnd: Int32Array;
}

/** Features of training examples: `prepare_train_features` of run_qa.py, without padding. */
export async function trainFeatures(
  examples: readonly SquadExample[],
  tokenizer: Tokenizer,
  options: QuestionWindowOptions,
): Promise<TrainFeatures> {
  const windows: TokenIds[] = [];
  const exampleOf: number[] = [];
  const starts: number[] = [];
  const ends: number[] = [];
  for await (const window of questionWindows(examples, tokenizer, options)) {
    const [start, end] = answerPositions(window);
    windows.push({ ids: window.ids, typeIds: window.typeIds });
    exampleOf.push(window.index);
    starts.push(start);
    ends.push(end);
  }
  return {
    tokens: packTokens(windows),
    exampleOf: Int32Array.from(exampleOf),
    start: Int32Array.from(starts),
    end: Int32Array.from(ends),
  };
}

/** Features of examples to predict: `prepare_validation_features` of run_qa.py, without padding. */
export async function validationFeatures(
  examples: readonly SquadExample[],
  tokenizer: Tokenizer,
  options: QuestionWindowOptions,
): Promise<ValidationFeatures> {
  const windows: QuestionWindow[] = [];
  for await (const window of questionWindows(examples, tokenizer, options)) windows.push(window);
  const tokens = packTokens(windows);
  const textStart = new Int32Array(tokens.ids.length);
  const textEnd = new Int32Array(tokens.ids.length);
  windows.forEach((window, f) => {
    const first = tokens.offsets[f]! + window.contextFirst;
    textStart.set(window.textStart, first);
    textEnd.set(window.textEnd, first);
  });
  return {
    tokens,
    exampleOf: Int32Array.from(windows, ({ index }) => index),
    contextFirst: Int32Array.from(windows, ({ contextFirst }) => contextFirst),
    contextEnd: Int32Array.from(windows, (w) => w.contextFirst + w.textStart.length),
    textStart,
    textEnd,
  };
}

// --- internal ---

/**
 * Window positions of the first answer's first and last token; [0, 0], the CLS token, unless the
 * window holds the whole answer. As in the reference, a start inside the context's last token is
 * labelled with the token after it.
 */
function answerPositions(window: QuestionWindow): readonly [start: number, end: number] {
  const { example, textStart, textEnd, contextFirst, ids } = window;
  const [answer] = example.answers ?? [];
  const first = textStart[0];
  const last = textEnd.at(-1);
  if (answer === undefined || first === undefined || last === undefined) return [0, 0];
  const answerEnd = answer.start + codePoints(answer.text).length;
  if (first > answer.start || last < answerEnd) return [0, 0];
  const after = textStart.findIndex((start) => start > answer.start);
  const before = textEnd.findLastIndex((end) => end < answerEnd);
  const start = after === -1 ? ids.length - 1 : contextFirst + after - 1;
  return [start, contextFirst + before + 1];
}
