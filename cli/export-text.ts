import type { PeftAdapter } from "../core/io/peft-adapter.ts";
import type { Exported, ExportFormat } from "../core/run/export/export-adapter.ts";
import { metricLine } from "./metrics-text.ts";
import { printable } from "./printable.ts";

/** The result of an export as text. */
export function exportText(to: ExportFormat, out: string, exported: Exported): string {
  const { modules, of, rank, difference, rounding } = exported;
  const left = of > modules ? `, ${of - modules} of rank 0 left out` : "";
  const ranks =
    rank.least === rank.most ? `rank ${rank.most}` : `ranks ${rank.least} to ${rank.most}`;
  return [
    metricLine("format", to),
    metricLine("modules", `${modules} with ${ranks}${left}`),
    metricLine("difference of modules", small(difference.modules)),
    metricLine(
      "difference of logits",
      difference.logits === null ? "not computed" : small(difference.logits),
    ),
    ...(rounding
      ? [
          metricLine("rounding of weights", small(rounding.largest)),
          metricLine("lost of increments", percent(rounding.share)),
        ]
      : []),
    printable(out),
  ].join("\n");
}

/** What servers will not take of an export, and what to use instead. */
export function servingNotes(
  to: ExportFormat,
  uniform: boolean,
  { rank, difference, rounding }: Exported,
  { saved }: Pick<PeftAdapter, "saved">,
): readonly string[] {
  const isAdapter = to === "peft" || to === "lora";
  const others = [...new Set([...saved.keys()].map((name) => name.split(".")[0] ?? name))].filter(
    (name) => name !== "classifier" && name !== "score",
  );
  return [
    ...(to === "peft"
      ? ["PEFT alone loads AdaLoRA: --to lora is for transformers, --to lora --uniform for vLLM"]
      : []),
    ...(to === "lora" && !uniform && rank.least !== rank.most
      ? ["vLLM reads one rank and one alpha and ignores the others: --uniform writes one"]
      : []),
    ...(isAdapter && others.length > 0
      ? [
          `vLLM accepts no trained modules but classifier and score, and this adapter has ${others.join(", ")}: --to merged is for it`,
        ]
      : []),
    ...(rounding && rounding.share > NOTABLE_LOSS
      ? [
          `rounding to the base's dtype loses up to ${percent(rounding.share)} of an increment: a base in f32 keeps it`,
        ]
      : []),
    ...(difference.logits === null && to !== "loralib"
      ? ["the whole model was not run: its modules were compared alone"]
      : []),
  ];
}

// --- internal ---

/** A share of an increment that may change predictions. */
const NOTABLE_LOSS = 0.01;

const percent = (share: number) => `${(100 * share).toPrecision(2)} %`;

const small = (value: number) => (value === 0 ? "0" : value.toExponential(1));
