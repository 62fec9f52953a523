import { answerWords } from "./squad-normalize.ts";

/** A prediction with its reference answers. */
export interface AnswerPair {
  /** Empty: "no answer". undefined: nothing was predicted, which counts as wrong. */
  readonly prediction: string | undefined;
  /** Empty: the question has no answer. */
  readonly answers: readonly string[];
  /** Confidence that there is no answer, on any scale. Default 0. */
  readonly noAnswer?: number;
}

/** SQuAD 1.1 metrics in percent, by the official names. */
export interface SquadMetrics {
  readonly exact_match: number;
  readonly f1: number;
}

/**
 * SQuAD 1.1 metrics, as the official script. Every question must have an answer; NaN for no pairs.
 */
export function squadMetrics(pairs: readonly AnswerPair[]): SquadMetrics {
  let exact = 0;
  let f1 = 0;
  for (const { prediction, answers } of pairs) {
    if (prediction === undefined) continue;
    const got = answerWords(prediction);
    const expected = answers.map(answerWords);
    exact += best(expected, (words) => exactScore(words, got));
    f1 += best(expected, (words) => overlapF1(words, got));
  }
  return { exact_match: (100 * exact) / pairs.length, f1: (100 * f1) / pairs.length };
}

/**
 * SQuAD 2.0 metrics by the official script's names, in percent: over all questions, over those with
 * (HasAns) and without (NoAns) an answer, and the best values over all thresholds on `noAnswer`,
 * with their thresholds. A question whose `noAnswer` exceeds `threshold` counts as answered "no
 * answer".
 */
export function squadV2Metrics(
  pairs: readonly AnswerPair[],
  threshold = 1,
): Record<string, number> {
  const scored = pairs.map(scoreOf);
  const applied = scored.map((score) =>
    score.noAnswer > threshold
      ? { ...score, exact: Number(!score.hasAnswer), f1: Number(!score.hasAnswer) }
      : score,
  );
  const [bestExact, exactThreshold] = bestThreshold(scored, "exact");
  const [bestF1, f1Threshold] = bestThreshold(scored, "f1");
  return {
    ...means(applied, ""),
    ...means(
      applied.filter(({ hasAnswer }) => hasAnswer),
      "HasAns_",
    ),
    ...means(
      applied.filter(({ hasAnswer }) => !hasAnswer),
      "NoAns_",
    ),
    best_exact: bestExact,
    best_exact_thresh: exactThreshold,
    best_f1: bestF1,
    best_f1_thresh: f1Threshold,
  };
}

// --- internal ---

type Words = readonly string[];

interface Score {
  readonly exact: number;
  readonly f1: number;
  readonly hasAnswer: boolean;
  readonly predictsNone: boolean;
  readonly noAnswer: number;
}

function scoreOf({ prediction, answers, noAnswer = 0 }: AnswerPair): Score {
  return {
    ...squadV2Score(prediction, answers),
    hasAnswer: answers.length > 0,
    predictsNone: prediction === "",
    noAnswer,
  };
}

/** Scores of one prediction under the rules of SQuAD 2.0, from 0 to 1. */
function squadV2Score(
  prediction: string | undefined,
  answers: readonly string[],
): { readonly exact: number; readonly f1: number } {
  if (prediction === undefined) return { exact: 0, f1: 0 };
  const known = answers.map(answerWords).filter((words) => words.length > 0);
  // Answers of articles and punctuation only count as no answer.
  const expected = known.length === 0 ? [[]] : known;
  const got = answerWords(prediction);
  const f1 = (words: readonly string[]) =>
    words.length === 0 || got.length === 0 ? exactScore(words, got) : overlapF1(words, got);
  return { exact: best(expected, (words) => exactScore(words, got)), f1: best(expected, f1) };
}

function means(scores: readonly Score[], prefix: string): Record<string, number> {
  const total = scores.length;
  if (total === 0 && prefix !== "") return {};
  const percent = (key: "exact" | "f1") =>
    (100 * scores.reduce((sum, score) => sum + score[key], 0)) / total;
  return {
    [`${prefix}exact`]: percent("exact"),
    [`${prefix}f1`]: percent("f1"),
    [`${prefix}total`]: total,
  };
}

/**
 * The official script's threshold search: questions switch from "no answer" to their prediction one
 * by one, in ascending order of `noAnswer`. As in the script, ties switch one at a time, and
 * switching to a prediction of "no answer" changes nothing.
 */
function bestThreshold(
  scores: readonly Score[],
  key: "exact" | "f1",
): readonly [percent: number, threshold: number] {
  let current = scores.filter(({ hasAnswer }) => !hasAnswer).length;
  let highest = current;
  let threshold = 0;
  for (const score of scores.toSorted((a, b) => a.noAnswer - b.noAnswer)) {
    if (score.hasAnswer) current += score[key];
    else if (!score.predictsNone) current -= 1;
    if (current <= highest) continue;
    highest = current;
    threshold = score.noAnswer;
  }
  return [(100 * highest) / scores.length, threshold];
}

function best(answers: readonly Words[], score: (words: Words) => number): number {
  return answers.reduce((highest, words) => Math.max(highest, score(words)), 0);
}

function exactScore(expected: Words, got: Words): number {
  return Number(expected.length === got.length && expected.every((word, i) => word === got[i]));
}

/** F1 of the words as bags; 0 without common words, also for two empty bags. */
function overlapF1(expected: Words, got: Words): number {
  const left = new Map<string, number>();
  for (const word of expected) left.set(word, (left.get(word) ?? 0) + 1);
  let shared = 0;
  for (const word of got) {
    const count = left.get(word) ?? 0;
    if (count === 0) continue;
    left.set(word, count - 1);
    shared++;
  }
  if (shared === 0) return 0;
  const precision = shared / got.length;
  const recall = shared / expected.length;
  return (2 * precision * recall) / (precision + recall);
}
