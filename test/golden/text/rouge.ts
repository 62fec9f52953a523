import { porterStem } from "../../../core/metrics/porter.ts";
import type { MeanInterval } from "../../../core/metrics/bootstrap.ts";
import {
  aggregateRouge,
  type RougeAggregate,
  rougeMetrics,
} from "../../../core/metrics/rouge-aggregate.ts";
import { rougeTokens } from "../../../core/metrics/rouge-tokens.ts";
import { type RougeName, rougeNames, rougeScores } from "../../../core/metrics/rouge.ts";
import { goldenText } from "./golden-file.ts";
import { Findings, type FileCheck, type GoldenFolder } from "./verdict.ts";

/** Precision, recall, F-measure. */
type Triple = readonly [number, number, number];

interface RougeRecord {
  readonly id: string;
  readonly prediction: string;
  readonly reference: string;
  readonly plain: Readonly<Record<RougeName, Triple>>;
  readonly stem: Readonly<Record<RougeName, Triple>>;
}

const closeness = { tolerance: 1e-9 };
const parts = ["precision", "recall", "fmeasure"] as const;
const kinds = ["plain", "stem"] as const;

const recordsOf = (folder: GoldenFolder): readonly RougeRecord[] =>
  JSON.parse(goldenText(folder, "rouge.jsonl"));

function scoresOf(records: readonly RougeRecord[], kind: (typeof kinds)[number]) {
  return rougeScores(
    records.map(({ prediction }) => prediction),
    records.map(({ reference }) => reference),
    { stem: kind === "stem" },
  );
}

/** `rouge.jsonl`: every score of every pair, with and without the stemmer. */
export const checkRouge: FileCheck = (folder) => {
  const findings = new Findings();
  const records = recordsOf(folder);
  for (const kind of kinds) {
    const scores = scoresOf(records, kind);
    for (const [i, record] of records.entries()) {
      for (const name of rougeNames) {
        for (const [p, part] of parts.entries()) {
          const got = scores[i]?.[name][part] ?? NaN;
          const want = record[kind][name][p] ?? NaN;
          findings.close(name, `${record.id} ${kind} ${part}`, got, want, closeness);
        }
      }
    }
  }
  return findings.verdict(records.length);
};

interface AggregateRecord {
  readonly mean: Triple;
  /** The mean F-measure in percent, rounded as the reference prints it. */
  readonly fmeasure_percent_4: number;
  readonly bootstrap_mid: Triple;
  readonly bootstrap_low: Triple;
  readonly bootstrap_high: Triple;
}

interface AggregateFile {
  readonly pairs: number;
  readonly aggregate: Readonly<
    Record<(typeof kinds)[number], Readonly<Record<RougeName, AggregateRecord>>>
  >;
  readonly tokenize: readonly {
    readonly text: string;
    readonly plain: readonly string[];
    readonly stem: readonly string[];
  }[];
}

/** `rouge-aggregate.json`: means and intervals over the pairs of rouge.jsonl; the words of texts. */
export const checkRougeAggregate: FileCheck = (folder, file) => {
  const findings = new Findings();
  const golden: AggregateFile = JSON.parse(goldenText(folder, file));
  const records = recordsOf(folder);
  findings.equal("pairs", file, records.length, golden.pairs);
  for (const kind of kinds) {
    const got = aggregateRouge(scoresOf(records, kind), 1);
    for (const name of rougeNames) {
      compareAggregate(`${kind} ${name}`, got, name, golden.aggregate[kind][name], findings);
    }
  }
  for (const { text, ...want } of golden.tokenize) {
    for (const kind of kinds) {
      const got = rougeTokens(text, kind === "stem");
      findings.equal(`${kind} tokens`, JSON.stringify(text), got, want[kind]);
    }
  }
  return findings.verdict(golden.pairs);
};

function compareAggregate(
  where: string,
  got: RougeAggregate,
  name: RougeName,
  want: AggregateRecord,
  findings: Findings,
): void {
  for (const [p, part] of parts.entries()) {
    const interval = got[name][part];
    findings.close("mean", `${where} ${part}`, interval.mean, want.mean[p] ?? NaN, closeness);
    compareInterval(`${where} ${part}`, interval, want, p, findings);
  }
  const rounded = Number(rougeMetrics(got)[name].toFixed(4));
  findings.close("percent", where, rounded, want.fmeasure_percent_4, closeness);
}

/** Both are random: 15% of the interval's width are about 5 standard deviations of a bound's difference. */
function compareInterval(
  where: string,
  { mean, low, high }: MeanInterval,
  want: AggregateRecord,
  p: number,
  findings: Findings,
): void {
  const [expected, mid, top] = [
    want.bootstrap_low[p],
    want.bootstrap_mid[p],
    want.bootstrap_high[p],
  ];
  if (expected === undefined || mid === undefined || top === undefined) {
    return findings.complain(`${where}: no interval`);
  }
  const width = top - expected;
  const loosely = { tolerance: 0.15 };
  const inWidths = (value: number) => (width === 0 ? value : (value - expected) / width);
  findings.close("low in widths", where, inWidths(low), inWidths(expected), loosely);
  findings.close("high in widths", where, inWidths(high), inWidths(top), loosely);
  findings.close("middle in widths", where, inWidths(mean), inWidths(mid), loosely);
}

/** `porter.tsv`: words and their stems. */
export const checkPorter: FileCheck = (folder, file) => {
  const findings = new Findings();
  const lines = goldenText(folder, file)
    .split("\n")
    .filter((line) => line !== "");
  for (const line of lines) {
    const [word = "", stem] = line.split("\t");
    findings.equal("stem", word, porterStem(word), stem);
  }
  return findings.verdict(lines.length);
};
