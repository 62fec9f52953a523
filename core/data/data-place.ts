/** A data set of the hub, and which of its configurations. */
export interface HubData {
  readonly id: string;
  readonly config: string | undefined;
}

/** A folder or file, or a data set of the hub: then its files by the names of the splits. */
export interface DataLocation {
  readonly path: string;
  readonly splits?: ReadonlyMap<string, readonly string[]>;
}
