import type { SquadExample } from "../../../core/data/squad-question.ts";
import { tokensOf } from "../../../core/data/token-cache.ts";
import { answerFiles } from "../../../core/qa/answer-files.ts";
import { validationFeatures } from "../../../core/qa/features.ts";
import { type PredictedAnswer, postProcess } from "../../../core/qa/post-process.ts";
import { goldenText, tokenizerOf } from "./golden-file.ts";
import { goldenExamples } from "./squad-examples.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

/** A window's logits, as long as the script pads it to. */
interface LogitRecord {
  readonly feature: number;
  readonly example_id: string;
  readonly start: readonly number[];
  readonly end: readonly number[];
}

interface NBestRecord {
  readonly start_logit: number;
  readonly end_logit: number;
  readonly text: string;
  readonly probability: number;
}

/** What the script made of the logits with some options, or the exception that it ended with. */
export interface PostRecord {
  readonly version_2_with_negative: boolean;
  readonly n_best_size: number;
  readonly max_answer_length: number;
  readonly null_score_diff_threshold: number;
  readonly predictions?: Readonly<Record<string, string>>;
  readonly nbest?: Readonly<Record<string, readonly NBestRecord[]>>;
  readonly null_odds?: Readonly<Record<string, number>>;
  readonly error?: string;
}

/** The windows that the logits are of. */
async function windowsOf(folder: GoldenFolder, examples: readonly SquadExample[]) {
  const tokenizer = await tokenizerOf(folder, "deberta");
  return validationFeatures(examples, tokenizer, { maxLength: 384, stride: 128 });
}

const logitsOf = (folder: GoldenFolder): readonly LogitRecord[] =>
  JSON.parse(goldenText(folder, "squad-logits.jsonl"));

/** `squad-logits.jsonl`: a row for each of our windows. */
export const checkSquadLogits: FileCheck = async (folder) => {
  const findings = new Findings();
  const examples = goldenExamples(folder);
  const { tokens, exampleOf } = await windowsOf(folder, examples);
  const records = logitsOf(folder);
  findings.equal("windows", "the file", exampleOf.length, records.length);
  for (const [f, { feature, example_id: id, start, end }] of records.entries()) {
    findings.equal("window", `row ${f}`, [f, examples[exampleOf[f] ?? -1]?.id], [feature, id]);
    const { length } = tokensOf(tokens, f).ids;
    const isLong = start.length >= length && end.length === start.length;
    findings.equal("logits of every token", `row ${f}`, isLong, true);
  }
  return findings.verdict(records.length);
};

/** `squad-post.jsonl`: answers, candidates and null odds, as our answer files hold them. */
export const checkSquadPost: FileCheck = async (folder, file) => {
  const findings = new Findings();
  const examples = goldenExamples(folder);
  const features = await windowsOf(folder, examples);
  const logits = logitsOf(folder);
  const start = logits.map((row) => Float32Array.from(row.start));
  const end = logits.map((row) => Float32Array.from(row.end));
  const records: readonly PostRecord[] = JSON.parse(goldenText(folder, file));
  for (const record of records) {
    const options = {
      unanswerable: record.version_2_with_negative,
      nBest: record.n_best_size,
      maxAnswerLength: record.max_answer_length,
      nullThreshold: record.null_score_diff_threshold,
    };
    const where = JSON.stringify(options);
    const answers = postProcess(examples, features, start, end, options);
    findings.equal("answers", where, answers.length, examples.length);
    // where the script fails on a question whose candidates are all empty, ours says "no answer"
    if (record.error === undefined) compare(record, answers, where, findings);
  }
  return findings.verdict(records.length);
};

interface ReadFiles {
  readonly predictions: Readonly<Record<string, string>>;
  readonly nbest: Readonly<Record<string, readonly NBestRecord[]>>;
  readonly odds: Readonly<Record<string, number>> | undefined;
}

function readFiles(answers: readonly PredictedAnswer[]): ReadFiles {
  const files = answerFiles(answers);
  const odds = files["null_odds.json"];
  return {
    predictions: JSON.parse(files["predictions.json"]),
    nbest: JSON.parse(files["nbest_predictions.json"]),
    odds: odds === undefined ? undefined : JSON.parse(odds),
  };
}

function compare(
  record: PostRecord,
  answers: readonly PredictedAnswer[],
  where: string,
  findings: Findings,
): void {
  const { predictions, nbest, odds } = readFiles(answers);
  for (const [id, text] of Object.entries(record.predictions ?? {})) {
    findings.equal("prediction", `${where} ${id}`, predictions[id], text);
  }
  for (const [id, want] of Object.entries(record.nbest ?? {})) {
    const got = nbest[id] ?? [];
    const exact = (list: readonly NBestRecord[]) =>
      list.map(({ start_logit, end_logit, text }) => [start_logit, end_logit, text]);
    findings.equal("candidates", `${where} ${id}`, exact(got), exact(want));
    // the script's softmax is in f32
    want.forEach(({ probability }, i) =>
      findings.close("probability", `${where} ${id}`, got[i]?.probability ?? NaN, probability, {
        tolerance: 1e-6,
      }),
    );
  }
  for (const [id, value] of Object.entries(record.null_odds ?? {})) {
    findings.equal("null_odds", `${where} ${id}`, odds?.[id], value);
  }
}
