import { looksLikeRepo } from "../io/hub-repo.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import type { AdapterFacts, TrainingFacts } from "./adapter-facts.ts";
import { type CardSubject, cardMetadata } from "./card-metadata.ts";
import { layerOf } from "./layer-of.ts";

/** The name of a folder's card. */
export const CARD = "README.md";

/**
 * The model card of an adapter's or a merged model's folder: the hub's metadata, then base, method,
 * budget, labels, metrics, ranks by layer and how to load it. It names no path, user or host.
 */
export function cardText(subject: CardSubject): string {
  const { adapter, facts, isMerged = false } = subject;
  const base = hubBase(adapter);
  const title = `${cell(facts?.task ?? "An adapter")}, fine-tuned with ${methodName(subject)}`;
  const sections = [
    `# ${title}`,
    introduction(subject, base),
    facts?.labels && labelsText(facts.labels),
    facts?.training && trainingText(facts.training),
    facts?.training && metricsText(facts.training),
    ranksText(adapter),
    "## How to load it",
    isMerged ? mergedUsage(adapter) : adapterUsage(subject, base),
  ];
  const text = sections.filter((section) => section !== undefined && section !== "").join("\n\n");
  return `${cardMetadata(subject, base)}\n${text}\n`;
}

// --- internal ---

/** The base model's name on the hub; undefined for a folder's path and other names. */
function hubBase({ baseModel }: Pick<PeftAdapter, "baseModel">): string | undefined {
  return baseModel !== null && looksLikeRepo(baseModel) ? baseModel : undefined;
}

const methodNames: Readonly<Record<string, string>> = {
  adalora: "AdaLoRA",
  "svd-lora": "SVD-LoRA",
  lora: "LoRA",
  "prune-lora": "LoRA with pruned ranks",
};

function methodName({ adapter, facts }: CardSubject): string {
  const name = facts?.training?.method ?? adapter.method;
  return methodNames[name] ?? name;
}

function introduction({ adapter, isMerged = false }: CardSubject, base: string | undefined) {
  const link = base && `[${base}](https://huggingface.co/${base})`;
  const at = adapter.revision ? `, revision \`${adapter.revision}\`` : "";
  const whose = link === undefined ? "its base model" : `${link}${at}`;
  const what = isMerged ? "The adapter's increments are merged into" : "A PEFT adapter for";
  return `${what} ${whose}. Made with adalora.`;
}

function labelsText(labels: readonly string[]): string {
  const rows = labels.map((label, i) => `| ${i} | ${cell(label)} |`);
  return ["## Labels", "", "| id | label |", "|---|---|", ...rows].join("\n");
}

function trainingText(training: TrainingFacts): string {
  const { dataset, method, seed, steps, step, learningRate, batchSize, alpha } = training;
  const { initialRanks, targetRanks, start, allocator, learningRateE } = training;
  const rates = learningRateE === undefined ? "" : `, that of E ${learningRateE}`;
  const isOther = allocator !== undefined && allocator !== "adalora";
  const rule = isOther ? `, allocator ${cell(allocator)}` : "";
  const from = start === undefined ? "" : `, start ${cell(start)}`;
  const total = `${targetRanks} rank${targetRanks === 1 ? "" : "s"} in all`;
  const config = dataset?.config === undefined ? "" : ` (${dataset.config})`;
  const budget =
    initialRanks === targetRanks
      ? `${total}, not pruned`
      : `${total}, pruned from ${initialRanks}${rule}`;
  return [
    "## Training",
    "",
    `- Data: ${dataset ? cell(`${dataset.id}${config}`) : "local files"}`,
    `- Method: ${methodNames[method] ?? method}, alpha ${alpha}${from}`,
    `- Budget: ${budget}`,
    `- Steps: ${steps}; these weights are of step ${step}`,
    `- Batch size ${batchSize}, peak learning rate ${learningRate}${rates}, seed ${seed}`,
  ].join("\n");
}

function metricsText({ metrics }: TrainingFacts): string | undefined {
  const rows = Object.entries(metrics).flatMap(([split, values]) =>
    Object.entries(values).map(([name, value]) => `| ${split} | ${name} | ${shown(value)} |`),
  );
  if (rows.length === 0) return undefined;
  return ["## Metrics", "", "| split | metric | value |", "|---|---|---|", ...rows].join("\n");
}

/** A table of layers by modules for each stack of layers. */
function ranksText({ modules }: PeftAdapter): string {
  const placed = modules.map(({ path, A }) => ({ ...layerOf(path), rank: A.shape[0] ?? 0 }));
  const total = placed.reduce((sum, { rank }) => sum + rank, 0);
  const tables = [...Map.groupBy(placed, ({ stack }) => stack)].map(([stack, cells]) => {
    const columns = [...new Set(cells.map(({ module }) => module))];
    const rows = [...Map.groupBy(cells, ({ layer }) => layer)].map(([layer, inLayer]) => {
      const ranks = columns.map((name) => inLayer.find(({ module }) => module === name)?.rank);
      return `| ${layer} | ${ranks.map((rank) => rank ?? "").join(" | ")} |`;
    });
    const header = `| ${stack === "" ? "module" : stack} | ${columns.join(" | ")} |`;
    return [header, `|---|${columns.map(() => "---|").join("")}`, ...sortedRows(rows)].join("\n");
  });
  return [`## Ranks\n\n${total} in ${modules.length} matrices.`, ...tables].join("\n\n");
}

/** By layer number: the modules are sorted by path, where 10 precedes 2. */
const sortedRows = (rows: readonly string[]) =>
  rows.toSorted((a, b) => Number(/\d+/.exec(a)?.[0]) - Number(/\d+/.exec(b)?.[0]));

const autoClasses: Readonly<Record<string, string>> = {
  SEQ_CLS: "AutoModelForSequenceClassification",
  QUESTION_ANS: "AutoModelForQuestionAnswering",
  SEQ_2_SEQ_LM: "AutoModelForSeq2SeqLM",
};

function adapterUsage({ adapter, facts }: CardSubject, base: string | undefined): string {
  const auto = autoClasses[adapter.taskType ?? ""] ?? "AutoModel";
  const revision = adapter.revision ? `, revision=${JSON.stringify(adapter.revision)}` : "";
  const width = widthOf(adapter, facts);
  const labels = width === undefined ? "" : `, num_labels=${width}`;
  return `In PEFT (\`FOLDER\`: this folder or repository):

\`\`\`python
from peft import PeftModel
from transformers import ${auto}, AutoTokenizer

base = ${auto}.from_pretrained("${base ?? "BASE"}"${revision}${labels})
model = PeftModel.from_pretrained(base, "FOLDER").eval()
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
\`\`\`

In adalora:

    adalora predict --adapter FOLDER${base === undefined ? " --model BASE" : ""} --input data.csv`;
}

function mergedUsage({ taskType }: PeftAdapter): string {
  const auto = autoClasses[taskType ?? ""] ?? "AutoModel";
  return `\`\`\`python
from transformers import ${auto}, AutoTokenizer

model = ${auto}.from_pretrained("FOLDER").eval()
tokenizer = AutoTokenizer.from_pretrained("FOLDER")
\`\`\`

In adalora:

    adalora predict --model FOLDER --input data.csv`;
}

/**
 * The classifier's width, which transformers must be told for a base model without one: the labels,
 * or the narrowest output among the head's matrices.
 */
function widthOf({ taskType, saved }: PeftAdapter, facts: AdapterFacts | undefined) {
  if (taskType !== "SEQ_CLS") return undefined;
  const widths = [...saved.values()].flatMap(({ shape: [rows, ...rest] }) =>
    rows !== undefined && rest.length === 1 ? [rows] : [],
  );
  return facts?.labels?.length ?? (widths.length > 0 ? Math.min(...widths) : undefined);
}

const cell = (text: string) => text.replaceAll(/\s+/g, " ").replaceAll("|", "\\|");
const shown = (value: number) => (Number.isFinite(value) ? String(Number(value.toFixed(6))) : "-");
