import { errors } from "../errors.ts";
import { commonPositions, commonLength } from "./common-subsequence.ts";
import { rougeTokens } from "./rouge-tokens.ts";

/** ROUGE variants by `rouge_score`'s names. */
export const rougeNames = ["rouge1", "rouge2", "rougeL", "rougeLsum"] as const;
/** A ROUGE variant. */
export type RougeName = (typeof rougeNames)[number];

/** Scores of a pair in one variant, from 0 to 1. */
export interface RougeScore {
  readonly precision: number;
  readonly recall: number;
  readonly fmeasure: number;
}

/** Scores of a pair in all variants. */
export type RougeScores = Readonly<Record<RougeName, RougeScore>>;

/**
 * ROUGE of each prediction against its reference, as Google's `rouge_score`: overlap of unigrams
 * and bigrams, longest common subsequence of whole texts (L) and of their sentences, one per line
 * (Lsum). Throws E_METRIC if the lists differ in length.
 */
export function rougeScores(
  predictions: readonly string[],
  references: readonly string[],
  { stem }: { readonly stem: boolean },
): RougeScores[] {
  if (predictions.length !== references.length) {
    const counts = `${predictions.length} predictions, ${references.length} references`;
    throw errors.metric("rouge", `needs a reference for each prediction: got ${counts}`);
  }
  return predictions.map((prediction, i) => scoresOf(prediction, references[i] ?? "", stem));
}

// --- internal ---

type Tokens = readonly string[];

function scoresOf(prediction: string, reference: string, stem: boolean): RougeScores {
  const got = rougeTokens(prediction, stem);
  const expected = rougeTokens(reference, stem);
  return {
    rouge1: overlapScore(counted(got), counted(expected)),
    rouge2: overlapScore(counted(bigramsOf(got)), counted(bigramsOf(expected))),
    rougeL: scoreOf(commonLength(expected, got), got.length, expected.length),
    rougeLsum: summaryScore(linesOf(prediction, stem), linesOf(reference, stem)),
  };
}

function scoreOf(shared: number, got: number, expected: number): RougeScore {
  const precision = got === 0 ? 0 : shared / got;
  const recall = expected === 0 ? 0 : shared / expected;
  const sum = precision + recall;
  return { precision, recall, fmeasure: sum === 0 ? 0 : (2 * precision * recall) / sum };
}

/** Occurrences of each token. */
type Counts = Map<string, number>;

function counted(tokens: Tokens): Counts {
  const counts: Counts = new Map();
  for (const token of tokens) counts.set(token, (counts.get(token) ?? 0) + 1);
  return counts;
}

const bigramsOf = (tokens: Tokens) => tokens.slice(1).map((token, i) => `${tokens[i]} ${token}`);

function overlapScore(got: Counts, expected: Counts): RougeScore {
  let shared = 0;
  for (const [token, count] of expected) shared += Math.min(count, got.get(token) ?? 0);
  return scoreOf(shared, totalOf(got), totalOf(expected));
}

function totalOf(counts: Counts): number {
  let total = 0;
  for (const count of counts.values()) total += count;
  return total;
}

const linesOf = (text: string, stem: boolean) =>
  text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => rougeTokens(line, stem));

/**
 * Summary-level LCS: for each reference sentence the union of its longest common subsequences with
 * all predicted sentences; each token counts at most as often as it occurs in the prediction.
 */
function summaryScore(got: readonly Tokens[], expected: readonly Tokens[]): RougeScore {
  const left = counted(got.flat());
  const total = totalOf(left);
  let shared = 0;
  for (const sentence of expected) {
    const union = new Set(got.flatMap((other) => commonPositions(sentence, other)));
    for (const i of union) {
      const token = sentence[i] ?? "";
      const count = left.get(token) ?? 0;
      if (count === 0) continue;
      left.set(token, count - 1);
      shared++;
    }
  }
  return scoreOf(shared, total, expected.flat().length);
}
