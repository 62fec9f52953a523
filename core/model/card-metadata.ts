import { kindOf } from "../config/task-names.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import type { AdapterFacts, TrainingFacts } from "./adapter-facts.ts";

/** What a card describes. */
export interface CardSubject {
  /** The adapter whose ranks are listed; for a merged model, the one that was merged. */
  readonly adapter: PeftAdapter;
  readonly facts: AdapterFacts | undefined;
  /** Whether the folder holds a merged model instead of an adapter. */
  readonly isMerged?: boolean;
}

/**
 * A card's YAML front matter, as the hub reads it: library, base model, pipeline tag, tags and
 * `model-index`. Texts are quoted as in JSON, which YAML includes. `base`: its name on the hub.
 */
export function cardMetadata(
  { adapter, facts, isMerged = false }: CardSubject,
  base: string | undefined,
): string {
  const pipeline = pipelineTag(adapter);
  const dataset = facts?.training?.dataset;
  const lines = [
    "---",
    `library_name: ${isMerged ? "transformers" : "peft"}`,
    ...(base === undefined ? [] : [`base_model: ${quoted(base)}`]),
    ...(base === undefined ? [] : [`base_model_relation: ${isMerged ? "finetune" : "adapter"}`]),
    ...(pipeline === undefined ? [] : [`pipeline_tag: ${pipeline}`]),
    ...(dataset === undefined ? [] : ["datasets:", `- ${quoted(dataset.id)}`]),
    "tags:",
    ...tagsOf(adapter, base, isMerged).map((tag) => `- ${quoted(tag)}`),
    ...(facts?.training && pipeline ? modelIndex(facts, facts.training, pipeline) : []),
    "---",
  ];
  return `${lines.join("\n")}\n`;
}

// --- internal ---

const quoted = (text: string) => JSON.stringify(text);

const pipelines: Readonly<Record<string, string>> = {
  SEQ_CLS: "text-classification",
  QUESTION_ANS: "question-answering",
  SEQ_2_SEQ_LM: "summarization",
};

const pipelineTag = ({ taskType }: PeftAdapter) => pipelines[taskType ?? ""];

function tagsOf(
  { method }: PeftAdapter,
  base: string | undefined,
  isMerged: boolean,
): readonly string[] {
  const relation = isMerged || base === undefined ? [] : [`base_model:adapter:${base}`];
  return [...relation, method, "transformers", "adalora"].filter(
    (tag, i, all) => all.indexOf(tag) === i,
  );
}

/** Names of `evaluate` where ours differ. */
const metricTypes: Readonly<Record<string, string>> = { pearson: "pearsonr" };

/** The metrics in the hub's format: one result per split. */
function modelIndex(
  { task }: AdapterFacts,
  { metrics, dataset, method }: TrainingFacts,
  pipeline: string,
): readonly string[] {
  // Metrics of a part of a data set, or of a local file, must not pass as the data set's own.
  const evaluated = dataset?.wholeSplits === true ? dataset : undefined;
  const results = Object.entries(metrics).flatMap(([split, values]) => {
    const finite = Object.entries(values).filter(([, value]) => Number.isFinite(value));
    if (finite.length === 0) return [];
    return [
      "  - task:",
      `      type: ${pipeline}`,
      "    dataset:",
      `      name: ${quoted(datasetName(task, evaluated?.id))}`,
      `      type: ${quoted(evaluated?.id ?? "local")}`,
      ...(evaluated?.config === undefined ? [] : [`      config: ${quoted(evaluated.config)}`]),
      `      split: ${quoted(split)}`,
      "    metrics:",
      ...finite.flatMap(([name, value]) => [
        `    - type: ${quoted(metricTypes[name] ?? name)}`,
        `      value: ${value}`,
      ]),
    ];
  });
  if (results.length === 0) return [];
  return ["model-index:", `- name: ${quoted(`${task}-${method}`)}`, "  results:", ...results];
}

/** The recipe's name; for the user's own data their name on the hub, if any. */
function datasetName(task: string, id: string | undefined): string {
  const isOwnData = ["classification", "regression", "summarization"].includes(task);
  return isOwnData ? (id ?? `local data for ${kindOf(task)} tasks`) : task;
}
