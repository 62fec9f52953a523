import { type Chart, runColours, type Spec } from "./chart.ts";

/** More lines than this in one chart cannot be distinguished. */
export const MOST_LINES = runColours.length;

/** The lines of a chart over steps. */
export interface ChartLines {
  /** Values of the field `run`, in their order. */
  readonly runs: readonly string[];
  /** The field that tells lines apart: a run may have several. */
  readonly line: string;
}

/**
 * Splits a chart of more runs than there are colours into a panel a run, with the lines of all
 * others behind it in grey. Returns a chart of fewer runs as it is.
 */
export function inPanels(chart: Chart, lines: ChartLines): Chart {
  const count = lines.runs.length;
  if (count <= MOST_LINES) return chart;
  return {
    ...chart,
    about: `${chart.about} A panel each; grey: the others.`,
    height: (PANEL_HEIGHT + 35) * Math.ceil(count / 4) + 30,
    isWide: true,
    spec: {
      ...panels(chart.spec, lines),
      usermeta: { panels: { width: PANEL_WIDTH, sides: SIDES } },
    },
  };
}

// --- internal ---

/** Pixels; browser/sized-chart.ts makes as many columns of panels as fit, and widens them. */
const [PANEL_HEIGHT, PANEL_WIDTH] = [90, 230];
/** Room beside a panel: the gap to the next one, and its share of the axis. */
const SIDES = 36;
const X_AXIS = { format: "~s", tickCount: 3, labelOverlap: "greedy", labelSeparation: 8 };
const HEADER = { labelColor: "var(--ink)", labelFontSize: 12 };

interface Layer {
  readonly mark: object;
  readonly encoding?: Readonly<Record<string, unknown>>;
}

function panels(spec: Spec, { runs, line }: ChartLines): Spec {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a layered chart of this folder
  const { data, encoding, layer } = spec as {
    readonly data: { readonly values: readonly object[] };
    readonly encoding: Readonly<Record<string, unknown>>;
    readonly layer: readonly Layer[];
  };
  const { color: _, ...shared } = encoding;
  const x = { ...Object(shared["x"]), axis: X_AXIS };
  const y = shared["y"] ?? layer.at(-1)?.encoding?.["y"];
  const detail = { field: line, type: "nominal" };
  const others = {
    data: { name: "all" }, // not inherited, so that it holds the rows of every panel
    mark: { type: "line", strokeWidth: 1, color: "var(--line)", clip: true },
    encoding: { y, detail },
  };
  const own = layer.map((one) => ({
    ...one,
    mark: { color: "var(--series-1)", ...one.mark },
    encoding: { ...one.encoding, detail },
  }));
  return {
    datasets: { all: data.values, own: data.values },
    data: { name: "own" },
    facet: {
      field: "run",
      type: "nominal",
      title: null,
      sort: runs,
      header: HEADER,
    },
    spacing: { row: 14, column: 20 },
    spec: { height: PANEL_HEIGHT, encoding: { ...shared, x }, layer: [others, ...own] },
  };
}
