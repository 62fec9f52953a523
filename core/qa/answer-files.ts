import type { PredictedAnswer } from "./post-process.ts";

/** The files of the reference's run_qa.py, by their names; the official evaluation scripts read the first and last. */
export type AnswerFiles = Readonly<
  Record<"predictions.json" | "nbest_predictions.json", string> &
    Partial<Record<"null_odds.json", string>>
>;

/** The contents of the answer files; null_odds.json only where questions may have no answer. */
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

/** A JSON object keyed by the questions' ids, in their order; an object of our own would put ids of digits first. */
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

/** Escapes what is not ASCII: Python's `open` reads with the machine's own encoding. */
function ascii(json: string): string {
  return json.replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
