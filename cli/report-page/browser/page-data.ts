/** A mask's ranks; lists have one entry per cell. */
export interface Frame {
  readonly step: number;
  readonly total: number;
  readonly ranks: readonly number[];
  readonly largest?: readonly (number | null)[] | undefined;
  readonly importance?: readonly (number | null)[] | undefined;
}

/** A run's heat map over its masks. */
export interface HeatMapRun {
  readonly cells: readonly object[];
  readonly frames: readonly Frame[];
}

/** What the page's script draws. */
export interface PageData {
  /** Vega-Lite specifications by the chart's id. */
  readonly specs: Readonly<Record<string, object>>;
  /** Name of the data set in the heat map that its slider replaces. */
  readonly heatMapData: string;
  readonly heatMaps: readonly HeatMapRun[];
}
