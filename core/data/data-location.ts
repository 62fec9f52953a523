/** A data set on the hub, and its configuration. */
export interface HubData {
  readonly id: string;
  readonly config: string | undefined;
}

/** A local folder or file; for a data set on the hub, also the files of each split by name. */
export interface DataLocation {
  readonly path: string;
  readonly splits?: ReadonlyMap<string, readonly string[]>;
}
