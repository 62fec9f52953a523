/** A pair of sentences and its class. */
export interface Row {
  readonly story: string;
  readonly sentence: string;
  readonly label: string;
}
