import { checkBlocks, checkTokenizerJson } from "./blocks.ts";
import { checkDecoding, checkDecodingDiff } from "./decoding.ts";
import { checkGlueMetrics } from "./glue-metrics.ts";
import { checkGlue, checkGlueDiff, checkGlueTasks } from "./glue.ts";
import { checkManifest } from "./manifest.ts";
import { checkAdamW, checkClipping } from "./optimizer.ts";
import { checkPorter, checkRouge, checkRougeAggregate } from "./rouge.ts";
import { checkSchedules } from "./schedules.ts";
import { checkSeq2Seq, checkSeq2SeqDiff } from "./seq2seq.ts";
import { checkSquadExamples } from "./squad-examples.ts";
import {
  checkSquadTrain,
  checkSquadTrainDiff,
  checkSquadValid,
  checkSquadValidDiff,
} from "./squad-features.ts";
import { checkSquadCases, checkSquadMetrics, checkSquadNormalize } from "./squad-metrics.ts";
import { checkSquadLogits, checkSquadPost } from "./squad-post.ts";
import { checkTokenization, checkTokenizationDiff } from "./tokenization.ts";
import type { FileCheck } from "./verdict.ts";

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
  "squad-examples.json": checkSquadExamples,
  "squad-train.jsonl": checkSquadTrain,
  "squad-train-diff.jsonl": checkSquadTrainDiff,
  "squad-valid.jsonl": checkSquadValid,
  "squad-valid-diff.jsonl": checkSquadValidDiff,
  "squad-logits.jsonl": checkSquadLogits,
  "squad-post.jsonl": checkSquadPost,
  "squad-normalize.json": checkSquadNormalize,
  "squad-metric-cases.jsonl": checkSquadCases,
  "squad-metrics.json": checkSquadMetrics,
  "seq2seq.jsonl": checkSeq2Seq,
  "seq2seq-diff.jsonl": checkSeq2SeqDiff,
  "rouge.jsonl": checkRouge,
  "rouge-aggregate.json": checkRougeAggregate,
  "porter.tsv": checkPorter,
};
