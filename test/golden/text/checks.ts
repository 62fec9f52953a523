import { checkBlocks, checkTokenizerJson } from "./blocks.ts";
import { checkDecoding, checkDecodingDiff } from "./decoding.ts";
import { checkGlueMetrics } from "./glue-metrics.ts";
import { checkGlue, checkGlueDiff, checkGlueTasks } from "./glue.ts";
import { checkManifest } from "./manifest.ts";
import { checkAdamW, checkClipping } from "./optimizer.ts";
import { checkSchedules } from "./schedules.ts";
import { checkTokenization, checkTokenizationDiff } from "./tokenization.ts";
import type { FileCheck } from "./verdict.ts";

const unbuilt =
  (what: string): FileCheck =>
  () => ({ status: "skip", reason: `${what} is not built`, worst: {} });

const questionAnswering = unbuilt("question answering");
const summarization = unbuilt("summarization");

/** What checks each file of a golden folder. */
export const checks: Readonly<Record<string, FileCheck>> = {
  "MANIFEST.json": checkManifest,
  "tok-deberta.jsonl": checkTokenization("deberta"),
  "tok-deberta-diff.jsonl": checkTokenizationDiff("deberta", "tok-deberta.jsonl"),
  "tok-bart.jsonl": checkTokenization("bart"),
  "tok-bart-diff.jsonl": checkTokenizationDiff("bart", "tok-bart.jsonl"),
  "decode-deberta.jsonl": checkDecoding("deberta"),
  "decode-deberta-diff.jsonl": checkDecodingDiff("deberta", "decode-deberta.jsonl"),
  "decode-bart.jsonl": checkDecoding("bart"),
  "decode-bart-diff.jsonl": checkDecodingDiff("bart", "decode-bart.jsonl"),
  "deberta-v3.tokenizer.json": checkTokenizerJson,
  "tokenizer-blocks.json": checkBlocks,
  "glue-tasks.json": checkGlueTasks,
  "glue.jsonl": checkGlue,
  "glue-diff.jsonl": checkGlueDiff,
  "glue-metrics.json": checkGlueMetrics,
  "schedules.json": checkSchedules,
  "adamw.jsonl": checkAdamW,
  "clip-grad-norm.json": checkClipping,
  "squad-examples.json": questionAnswering,
  "squad-train.jsonl": questionAnswering,
  "squad-train-diff.jsonl": questionAnswering,
  "squad-valid.jsonl": questionAnswering,
  "squad-valid-diff.jsonl": questionAnswering,
  "squad-logits.jsonl": questionAnswering,
  "squad-post.jsonl": questionAnswering,
  "squad-normalize.json": questionAnswering,
  "squad-metric-cases.jsonl": questionAnswering,
  "squad-metrics.json": questionAnswering,
  "seq2seq.jsonl": summarization,
  "seq2seq-diff.jsonl": summarization,
  "rouge.jsonl": summarization,
  "rouge-aggregate.json": summarization,
  "porter.tsv": summarization,
};
