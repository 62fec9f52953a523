import { type AnswerPair, squadMetrics, squadV2Metrics } from "../../../core/metrics/squad.ts";
import { answerWords } from "../../../core/metrics/squad-normalize.ts";
import { goldenText } from "./golden-file.ts";
import { goldenExamples } from "./squad-examples.ts";
import type { PostRecord } from "./squad-post.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

const closeness = { tolerance: 1e-9 };

interface NormalizeRecord {
  readonly text: string;
  readonly normalized: string;
  readonly tokens: readonly string[];
}

/** `squad-normalize.json`: answers as the official script compares them. */
export const checkSquadNormalize: FileCheck = (folder, file) => {
  const findings = new Findings();
  const records: readonly NormalizeRecord[] = JSON.parse(goldenText(folder, file));
  for (const { text, normalized, tokens } of records) {
    const where = JSON.stringify(text);
    findings.equal("normalized", where, answerWords(text).join(" "), normalized);
    findings.equal("tokens", where, answerWords(text), tokens);
  }
  return findings.verdict(records.length);
};

/** One prediction with its scores from 0 to 1; version 1 scores only what has an answer. */
interface CaseRecord {
  readonly id: string;
  readonly prediction: string;
  readonly answers: readonly string[];
  readonly no_answer_probability: number;
  readonly v1_exact?: number;
  readonly v1_f1?: number;
  readonly v2_exact: number;
  readonly v2_f1: number;
}

const casesOf = (folder: GoldenFolder): readonly CaseRecord[] =>
  JSON.parse(goldenText(folder, "squad-metric-cases.jsonl"));

/** `squad-metric-cases.jsonl`: the scores of single predictions. */
export const checkSquadCases: FileCheck = (folder) => {
  const findings = new Findings();
  const records = casesOf(folder);
  for (const { id, prediction, answers, ...want } of records) {
    const v2 = squadV2Metrics([{ prediction, answers }]);
    findings.close("v2_exact", id, (v2["exact"] ?? NaN) / 100, want.v2_exact, closeness);
    findings.close("v2_f1", id, (v2["f1"] ?? NaN) / 100, want.v2_f1, closeness);
    if (want.v1_exact === undefined || want.v1_f1 === undefined) continue;
    const v1 = squadMetrics([{ prediction, answers }]);
    findings.close("v1_exact", id, v1.exact_match / 100, want.v1_exact, closeness);
    findings.close("v1_f1", id, v1.f1 / 100, want.v1_f1, closeness);
  }
  return findings.verdict(records.length);
};

interface MetricsFile {
  readonly v2: readonly {
    readonly name: string;
    readonly ids: readonly string[];
    readonly use_probabilities: boolean;
    readonly no_answer_threshold: number;
    readonly result: Readonly<Record<string, number>>;
  }[];
  readonly v1: readonly {
    readonly name: string;
    readonly ids: readonly string[];
    /** Questions without a prediction. */
    readonly missing?: readonly string[];
    readonly result: Readonly<Record<string, number>>;
  }[];
  readonly on_squad_post: readonly {
    readonly line: number;
    readonly metric: string;
    readonly result: Readonly<Record<string, number>>;
  }[];
}

/** `squad-metrics.json`: both versions on the cases, with thresholds and subsets, and on the answers of squad-post. */
export const checkSquadMetrics: FileCheck = (folder, file) => {
  const findings = new Findings();
  const golden: MetricsFile = JSON.parse(goldenText(folder, file));
  const cases = new Map(casesOf(folder).map((one) => [one.id, one]));
  for (const { name, ids, use_probabilities: hasOdds, no_answer_threshold, result } of golden.v2) {
    const pairs = ids.flatMap((id) => pairOf(cases.get(id), hasOdds));
    compare(`v2 ${name}`, squadV2Metrics(pairs, no_answer_threshold), result, findings);
  }
  for (const { name, ids, missing = [], result } of golden.v1) {
    const pairs = ids.flatMap((id) =>
      pairOf(cases.get(id), false).map((pair) =>
        missing.includes(id) ? { ...pair, prediction: undefined } : pair,
      ),
    );
    compare(`v1 ${name}`, { ...squadMetrics(pairs) }, result, findings);
  }
  comparePost(folder, golden.on_squad_post, findings);
  return findings.verdict(golden.v2.length + golden.v1.length + golden.on_squad_post.length);
};

function pairOf(one: CaseRecord | undefined, hasOdds: boolean): AnswerPair[] {
  if (one === undefined) return [];
  const { prediction, answers, no_answer_probability: noAnswer } = one;
  return [{ prediction, answers, ...(hasOdds ? { noAnswer } : {}) }];
}

function comparePost(
  folder: GoldenFolder,
  golden: MetricsFile["on_squad_post"],
  findings: Findings,
): void {
  const records: readonly PostRecord[] = JSON.parse(goldenText(folder, "squad-post.jsonl"));
  const examples = goldenExamples(folder);
  for (const { line, metric, result } of golden) {
    const predictions = records[line]?.predictions ?? {};
    const pairs = examples.map(({ id, answers = [] }) => ({
      prediction: predictions[id],
      answers: answers.map(({ text }) => text),
    }));
    const got =
      metric === "squad_v2"
        ? squadV2Metrics(pairs)
        : { ...squadMetrics(pairs.filter(({ answers }) => answers.length > 0)) };
    compare(`${metric} on line ${line} of squad-post`, got, result, findings);
  }
}

function compare(
  where: string,
  got: Readonly<Record<string, number>>,
  want: Readonly<Record<string, number>>,
  findings: Findings,
): void {
  findings.equal("names", where, Object.keys(got).toSorted(), Object.keys(want).toSorted());
  for (const [name, value] of Object.entries(want)) {
    findings.close(name, where, got[name] ?? NaN, value, closeness);
  }
}
