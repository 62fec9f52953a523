import type { PredictedAnswer } from "./post-process.ts";

/**
 * Output files of the reference's run_qa.py: name -> contents. The official evaluation scripts read
 * predictions.json and null_odds.json.
 */
export type AnswerFiles = Readonly<
  Record<"predictions.json" | "nbest_predictions.json", string> &
    Partial<Record<"null_odds.json", string>>
>;

/** Builds the answer files; null_odds.json only if questions may be unanswerable. */
export function answerFiles(answers: readonly PredictedAnswer[]): AnswerFiles {
  const isWithOdds = answers.some(({ nullOdds }) => nullOdds !== undefined);
  return {
    "predictions.json": objectText(answers, ({ text }) => text),
    "nbest_predictions.json": objectText(answers, ({ candidates }) =>
      candidates.map(({ startLogit, endLogit, text, probability }) => ({
        start_logit: startLogit,
        end_logit: endLogit,
        text,
        probability,
      })),
    ),
    ...(isWithOdds ? { "null_odds.json": objectText(answers, ({ nullOdds }) => nullOdds) } : {}),
  };
}

// --- internal ---

/**
 * A JSON object keyed by question id, in input order; a JavaScript object would move integer-like
 * ids first.
 */
function objectText(
  answers: readonly PredictedAnswer[],
  valueOf: (answer: PredictedAnswer) => unknown,
): string {
  const members = answers.map((answer) => {
    const value = JSON.stringify(valueOf(answer), null, 4).replaceAll("\n", "\n    ");
    return `    ${JSON.stringify(answer.id)}: ${value}`;
  });
  return members.length === 0 ? "{}\n" : ascii(`{\n${members.join(",\n")}\n}\n`);
}

/** Escapes non-ASCII characters, since Python's `open` uses the locale's encoding. */
function ascii(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
