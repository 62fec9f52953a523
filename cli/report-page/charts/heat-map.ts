import type { RankFrame, RankFrames } from "../rank-frames.ts";
import { type Chart, rampColours, type Spec } from "./chart.ts";

/** Name of the data set that the page's slider replaces. */
export const HEAT_MAP_DATA = "cells";

/** Cells of one frame: a matrix each, with its value under the measure. */
export interface Cell {
  readonly layer: string;
  readonly module: string;
  readonly path: string;
  readonly rank: number;
  readonly initial: number;
  /** Largest |E| and mean importance; null where the mask has no record of them. */
  readonly largest: number | null;
  readonly importance: number | null;
}

/** The cells of a frame. */
export function cellsOf({ matrices }: Pick<RankFrames, "matrices">, frame: RankFrame): Cell[] {
  const stacks = new Set(matrices.map(({ stack }) => stack));
  return matrices.map(({ path, stack, layer, module, rank: initial }, i) => ({
    layer: stacks.size > 1 ? `${stackName(stack)} ${layer}` : layer,
    module,
    path,
    rank: frame.ranks[i] ?? 0,
    initial,
    largest: frame.largest?.[i] ?? null,
    importance: frame.importance?.[i] ?? null,
  }));
}

/** Ranks by layer and module after the last mask; the page's slider shows the other masks. */
export function heatMap(frames: RankFrames): Chart | undefined {
  const last = frames.frames.at(-1);
  if (!last || frames.matrices.length === 0) return undefined;
  const cells = cellsOf(frames, last);
  const layers = [...new Set(cells.map(({ layer }) => layer))];
  const modules = [...new Set(cells.map(({ module }) => module))];
  const most = Math.max(1, ...cells.map(({ initial }) => initial));
  const zeros = cells.filter(({ rank }) => rank === 0).length;
  return {
    id: "ranks",
    title: "Ranks by layer and module",
    about: "How many triplets each matrix keeps; the slider goes through the masks.",
    label: `Ranks of ${cells.length} matrices after step ${last.step}: ${last.total} in all, ${zeros} matrices at rank 0.`,
    height: 34 * modules.length + 40,
    isWide: true,
    spec: spec(cells, layers, modules, most),
  };
}

// --- internal ---

/** "encoder" of "model.encoder.layers". */
const stackName = (stack: string) =>
  stack.split(".").findLast((part) => !/^(layers?|blocks?|h)$/.test(part)) ?? stack;

function spec(
  cells: readonly Cell[],
  layers: readonly string[],
  modules: readonly string[],
  most: number,
): Spec {
  const x = {
    field: "layer",
    type: "ordinal",
    sort: layers,
    title: "layer",
    axis: { labelAngle: 0 },
  };
  const y = { field: "module", type: "nominal", sort: modules, title: null };
  const colours = most < rampColours.length ? evenlySpread(most + 1) : rampColours;
  const scale =
    most < rampColours.length
      ? { type: "ordinal", domain: Array.from({ length: most + 1 }, (_, i) => i), range: colours }
      : { type: "quantize", domain: [0, most], range: colours };
  const dark = most < rampColours.length ? Math.ceil((most + 1) / 2) : most / 2;
  return {
    data: { name: HEAT_MAP_DATA, values: cells },
    encoding: { x, y },
    layer: [
      {
        mark: { type: "rect", stroke: "var(--card)", strokeWidth: 1.5, cornerRadius: 2 },
        encoding: {
          color: {
            field: "rank",
            type: most < rampColours.length ? "ordinal" : "quantitative",
            scale,
            // Each cell has its number.
            legend: null,
          },
          tooltip: [
            { field: "path", type: "nominal", title: "matrix" },
            { field: "rank", type: "quantitative" },
            { field: "initial", type: "quantitative", title: "initial rank" },
            { field: "largest", type: "quantitative", title: "largest |E|", format: ".3~g" },
            { field: "importance", type: "quantitative", title: "importance", format: ".3~g" },
          ],
        },
      },
      {
        mark: { type: "text", fontSize: 11 },
        encoding: {
          text: { field: "rank", type: "quantitative" },
          color: {
            condition: { test: `datum.rank >= ${dark}`, value: "var(--ramp-high-text)" },
            value: "var(--ramp-low-text)",
          },
        },
      },
    ],
  };
}

/** `count` colours of the ramp, its ends included. */
const evenlySpread = (count: number) =>
  Array.from(
    { length: count },
    (_, i) => rampColours[Math.round((i * (rampColours.length - 1)) / Math.max(1, count - 1))]!,
  );
