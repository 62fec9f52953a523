import { CHART_WIDTH } from "../browser/sized-chart.ts";

/** A Vega-Lite specification. */
export type Spec = Readonly<Record<string, unknown>>;

/** A chart of the report. */
export interface Chart {
  /** Unique in the page; the name of its SVG file. */
  readonly id: string;
  readonly title: string;
  /** What it shows, in one or two sentences. */
  readonly about: string;
  /** What a screen reader says in its place. */
  readonly label: string;
  readonly height: number;
  /** Whether it takes the page's whole width. */
  readonly isWide?: boolean;
  readonly spec: Spec;
}

/** Colours of the runs, in order; the page's style sheet defines them for light and dark. */
export const runColours = [1, 2, 3, 4, 5, 6, 7, 8].map((i) => `var(--series-${i})`);

/** Colours from low to high. */
export const rampColours = [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => `var(--ramp-${i})`);

/** Longest label of a legend in pixels. */
const LABEL_LIMIT = 220;

/** Fonts, lines and colours of all charts. */
export const chartConfig: Spec = {
  background: "transparent",
  font: "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif",
  aria: false, // the figure has a label; a screen reader would read thousands of marks
  view: { stroke: null },
  axis: {
    domainColor: "var(--line)",
    gridColor: "var(--grid)",
    tickColor: "var(--line)",
    labelColor: "var(--soft)",
    titleColor: "var(--soft)",
    titleFontWeight: "normal",
    labelFontSize: 11,
    titleFontSize: 11,
    labelOverlap: true,
    tickCount: 5,
  },
  axisX: { grid: false },
  axisY: { domain: false, ticks: false, labelPadding: 6 },
  legend: {
    labelColor: "var(--soft)",
    titleColor: "var(--soft)",
    titleFontWeight: "normal",
    labelFontSize: 11,
    titleFontSize: 11,
    orient: "top",
    direction: "horizontal",
    labelLimit: LABEL_LIMIT,
    columns: 4,
    symbolType: "circle",
  },
  text: { color: "var(--soft)", fontSize: 11 },
  rule: { color: "var(--line)" },
  range: { category: runColours, ramp: rampColours, heatmap: rampColours },
};

/** A colour for each short name of modules, with a legend. */
export const moduleColour = (modules: readonly string[]) => ({
  field: "module",
  type: "nominal",
  scale: { domain: modules, range: runColours },
  legend: { title: null, columns: 3 },
});

/** A legend of runs, with as many columns as fit the chart; null for a single one. */
export function runLegend(names: readonly string[]) {
  if (names.length < 2) return null;
  const longest = Math.max(...names.map(({ length }) => length));
  const column = Math.min(LABEL_LIMIT, 6.5 * longest) + 30; // characters at 11 px, and a symbol
  const columns = { expr: `max(1, floor((${CHART_WIDTH} - 20) / ${column}))` };
  return { title: null, columns, symbolOpacity: 1 };
}

/** An x axis of optimizer steps. */
export const stepAxis = (lastStep: number) => ({
  field: "step",
  type: "quantitative",
  title: "step",
  scale: { domain: [0, Math.max(1, lastStep)], nice: false },
  axis: {
    format: ",d",
    tickCount: { expr: "ceil(width / 90)" },
    labelOverlap: "greedy",
    labelSeparation: 8,
  },
});

/** Few ticks: a logarithmic axis otherwise has nine lines a decade. */
export const logAxis = { format: "~e", tickCount: 2 };

/** A number for labels and tables: up to 5 significant digits. */
export function numberText(value: number): string {
  if (!Number.isFinite(value)) return "not a number";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  return String(Number(value.toPrecision(5)));
}
