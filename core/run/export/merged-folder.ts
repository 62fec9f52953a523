import { copyFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../io/atomic.ts";
import { editedJson } from "../../io/json-edit.ts";
import { isJsonObject, type JsonObject } from "../../io/json-file.ts";
import { CARD, cardText } from "../../model/adapter-card.ts";
import { ADAPTER_FACTS } from "../../io/peft.ts";
import { factsJson } from "../../model/adapter-facts.ts";
import type { HeadKind } from "../../model/plugin.ts";
import { type BaseModel, convertedTokenizer, type ExportSource } from "./source.ts";

/**
 * Writes what a merged model needs besides its weights: config.json with labels, the tokenizer's
 * and the generation's files byte for byte, facts and card. Where the tokenizer is a vocabulary, its
 * conversion to `tokenizer.json` is added.
 */
export function writeMergedFiles(to: string, source: ExportSource, base: BaseModel): void {
  const { adapter, facts } = source;
  const config = editedJson(join(base.dir, "config.json"), configFields(source, base));
  writeFileAtomic(join(to, "config.json"), config);
  copyFiles(base.dir, GENERATION_FILES, to);
  copyFiles(base.tokenizerDir, TOKENIZER_FILES, to);
  for (const [name, content] of convertedTokenizer(base.tokenizerDir, base) ?? []) {
    if (!existsSync(join(to, name))) writeFileAtomic(join(to, name), content);
  }
  if (facts) writeFileAtomic(join(to, ADAPTER_FACTS), factsJson(facts));
  writeFileAtomic(join(to, CARD), cardText({ adapter, facts, isMerged: true }));
}

// --- internal ---

/** Fields of the base's config.json that the head changes: architecture and labels. */
function configFields(
  { facts }: Pick<ExportSource, "facts">,
  { rawConfig, head }: Pick<BaseModel, "rawConfig" | "head">,
): JsonObject {
  return {
    architectures: [architectureOf(rawConfig, head.task)],
    ...(isSequence(head.task) && labelFields(namesOf(facts?.labels, rawConfig, head.labels))),
    ...(head.task === "regression" && { problem_type: "regression" }),
  };
}

const GENERATION_FILES = /^(generation_config\.json|chat_template\..+)$/;
const TOKENIZER_FILES =
  /^(tokenizer.*\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|.+\.model)$/;

function copyFiles(from: string, names: RegExp, to: string): void {
  for (const name of readdirSync(from).filter((one) => names.test(one))) {
    copyFileSync(join(from, name), join(to, name));
  }
}

const heads: Readonly<Record<HeadKind, string>> = {
  classification: "ForSequenceClassification",
  regression: "ForSequenceClassification",
  span: "ForQuestionAnswering",
  generation: "ForConditionalGeneration",
};

/**
 * The class of transformers for the head, from the base's: "DebertaV2ForMaskedLM" gives
 * "DebertaV2ForSequenceClassification". Without one, as in microsoft/deberta-v3-base, from the model
 * type: CrossEncoder makes a new head for a model whose config.json does not name a class with one.
 */
function architectureOf(
  { architectures, model_type: type }: BaseModel["rawConfig"],
  task: HeadKind,
) {
  const first: unknown = Array.isArray(architectures) ? architectures[0] : undefined;
  const named = typeof first === "string" ? first.replace(/(For[A-Z]\w*|Model)$/, "") : undefined;
  return (named ?? familyName(String(type))) + heads[task];
}

/** Parts of transformers' class names that are not just capitalized. */
const familyNames: Readonly<Record<string, string>> = {
  distilbert: "DistilBert",
  eurobert: "EuroBert",
  modernbert: "ModernBert",
  "xlm-roberta": "XLMRoberta",
};

/** "deberta-v2" is DebertaV2 in transformers. */
const familyName = (type: string) =>
  familyNames[type] ??
  type
    .split(/[-_]/)
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");

const isSequence = (task: HeadKind) => task === "classification" || task === "regression";

/** The facts' labels, or the base's own if they are as many, or transformers' default names. */
function namesOf(
  labels: readonly string[] | undefined,
  { id2label }: BaseModel["rawConfig"],
  width: number,
): readonly string[] {
  if (labels?.length === width) return labels;
  const own = Object.entries(isJsonObject(id2label) ? id2label : {})
    .toSorted(([a], [b]) => Number(a) - Number(b))
    .map(([, name]) => String(name));
  return own.length === width ? own : Array.from({ length: width }, (_, i) => `LABEL_${i}`);
}

function labelFields(labels: readonly string[]) {
  return {
    num_labels: labels.length,
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
  };
}
