import type { Inspected, InspectedModule, Size } from "../core/run/inspect-adapter.ts";
import { layerOf } from "../core/model/layer-of.ts";
import { byteSize } from "./byte-size.ts";
import { metricLine } from "./metrics-text.ts";
import { printable } from "./printable.ts";
import { rankTable } from "./rank-table.ts";
import type { Output } from "./terminal.ts";

/** What an adapter holds, as text that fits the output's width. */
export function inspectText(inspected: Inspected, output: Output): string {
  const { modules } = inspected;
  const ranks = modules.map((one) => ({ ...one, module: nameOf(one.path) }));
  return [
    summary(inspected).join("\n"),
    rankTable(ranks, output, { shades: true }),
    moduleTable(modules, Math.min(output.columns, MAX_COLUMNS)),
  ].join("\n\n");
}

// --- internal ---

/** Longer lines are hard to read. */
const MAX_COLUMNS = 120;

/** The module's name in its layer, as the heat map's column. */
const nameOf = (path: string) => printable(layerOf(path).module || path);

function summary(inspected: Inspected): string[] {
  const { method, base, revision, task, labels, modules, trained, size, budget } = inspected;
  const at = revision === null ? "" : `@${revision}`;
  const largest = (of: (module: InspectedModule) => number) => Math.max(0, ...modules.map(of));
  return [
    metricLine("method", method === "adalora" ? "AdaLoRA" : "LoRA"),
    metricLine("base model", base === null ? "not named" : printable(base + at)),
    ...(task === null ? [] : [metricLine("task", printable(task))]),
    ...(labels === null ? [] : [metricLine("labels", printable(labels.join(", ")))]),
    metricLine("as AdaLoRA", sizeText(size.adalora)),
    metricLine("as LoRA", sizeText(size.lora)),
    metricLine("trained in full", `${sizeText(size.trained)}, ${trained.length} tensors`),
    metricLine(
      "orthogonality residual",
      `P ${small(largest((one) => one.residual.p))}, Q ${small(largest((one) => one.residual.q))}`,
    ),
    ...(budget.length > 0 ? [metricLine("budget", budgetText(budget))] : []),
  ];
}

const sizeText = ({ parameters, bytes }: Size) =>
  `${parameters.toLocaleString("en-US")} parameters, ${byteSize(bytes)}`;

/** The budget where it changes: "36 to step 5, 24 at 8, 12 from 14"; the middle is thinned out. */
function budgetText(budget: Inspected["budget"]): string {
  const changes = budget.filter(({ budget: now }, i) => i === 0 || now !== budget[i - 1]?.budget);
  const kept = thinned(changes, MAX_CHANGES);
  return kept.map(({ step, budget: now }) => `${now} at step ${step}`).join(", ");
}

const MAX_CHANGES = 4;

/** At most `count` entries, the first and the last among them, evenly spread. */
function thinned<T>(entries: readonly T[], count: number): readonly T[] {
  if (entries.length <= count) return entries;
  return Array.from(
    { length: count },
    (_, i) => entries[Math.round((i * (entries.length - 1)) / (count - 1))]!,
  );
}

const HEADER = ["rank", "|dW|", "|dW|/|W|", "P", "Q"] as const;
const WIDTHS = [5, 9, 9, 8, 8] as const;

/** A line per module: norms, residuals and as many singular values as fit. */
function moduleTable(modules: readonly InspectedModule[], columns: number): string {
  const hasShare = modules.some(({ share }) => share !== null);
  const shown = [...HEADER.keys()].filter((i) => i !== 2 || hasShare);
  const fixed = shown.reduce((sum, i) => sum + WIDTHS[i]!, 0);
  const places = modules.map(placeOf);
  const layer = Math.max(0, ...places.map((place) => place.layer.length));
  const longest = Math.max("module".length, ...places.map(({ module }) => module.length));
  const name = Math.min(longest, Math.max(MIN_NAME, columns - fixed - layer - MIN_VALUES));
  const header = shown.map((i) => HEADER[i]!.padStart(WIDTHS[i]!)).join("");
  const lines = modules.map((module, m) => {
    const place = places[m]!;
    const cells = cellsOf(module);
    const row = shown.map((i) => cells[i]!.padStart(WIDTHS[i]!)).join("");
    const label = `${place.layer.padStart(layer)} ${cutLeft(place.module, name).padEnd(name)}`;
    const values = valuesText(module.singularValues, columns - label.length - row.length - 2);
    return `${label}${row}  ${values}`.trimEnd();
  });
  const first = `${"".padStart(layer)} ${"module".padEnd(name)}${header}  singular values`;
  return [first.slice(0, columns).trimEnd(), ...lines].join("\n");
}

/** Room for a module's name at least, and for singular values before the name gets more. */
const MIN_NAME = 14;
const MIN_VALUES = 21;

function cellsOf({ rank, norm, share, residual }: InspectedModule): readonly string[] {
  if (rank === 0) return ["0", "-", "-", "-", "-"];
  return [
    String(rank),
    norm.toPrecision(3),
    share === null ? "-" : `${(100 * share).toPrecision(2)} %`,
    small(residual.p),
    small(residual.q),
  ];
}

/** The layer's number, after a "d" in a decoder, and the module's name in it. */
function placeOf({ path }: InspectedModule): { readonly layer: string; readonly module: string } {
  const { stack, layer, module } = layerOf(path);
  if (module === "") return { layer: "", module: printable(path) };
  const isDecoder = /(?:^|\.)decoder(?:\.|$)/.test(stack);
  return { layer: printable(`${isDecoder ? "d" : ""}${layer}`), module: printable(module) };
}

/** The end of a text, which tells modules apart. */
const cutLeft = (text: string, width: number) =>
  text.length <= width ? text : `…${text.slice(text.length - width + 1)}`;

/** Singular values in `width` characters, with "…" for the rest. */
function valuesText(values: readonly number[], width: number): string {
  let text = "";
  for (const [i, value] of values.entries()) {
    const next = `${text}${i === 0 ? "" : " "}${value.toPrecision(3)}`;
    if (next.length > width - (i < values.length - 1 ? 2 : 0)) return `${text} …`.trimStart();
    text = next;
  }
  return text;
}

const small = (value: number) => (value === 0 ? "0" : value.toExponential(1));
