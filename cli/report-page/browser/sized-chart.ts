/** What the specification of a chart in panels says of them: see charts/panels.ts. */
export interface Panelled {
  readonly spec?: object;
  readonly facet?: { readonly header: object };
  readonly usermeta?: {
    readonly panels: {
      /** The least width of a panel in pixels. */
      readonly width: number;
      /** Pixels beside a panel that its plot does not fill. */
      readonly sides: number;
    };
  };
}

/**
 * A parameter of charts without panels, their whole width in pixels. Vega's own `width` is first that and then,
 * once axes are laid out, less: a legend that depended on it would change after it was given room.
 */
export const CHART_WIDTH = "chartWidth";

/** A chart's specification at a width in pixels, with as many columns of panels as fit. */
export function sizedChart(chart: Panelled, width: number): object {
  const { spec, facet, usermeta } = chart;
  if (!usermeta) return { ...chart, width, params: [{ name: CHART_WIDTH, value: width }] };
  const { panels } = usermeta;
  const columns = Math.max(2, Math.floor(width / panels.width));
  const inner = Math.floor(width / columns) - panels.sides;
  const header = { ...facet?.header, labelLimit: inner + panels.sides / 2 };
  return { ...chart, columns, facet: { ...facet, header }, spec: { ...spec, width: inner } };
}
