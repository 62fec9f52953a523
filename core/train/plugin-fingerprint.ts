/** A run's fingerprint with the digest of its plugin's files, if it has a plugin. */
export function withPlugin(fingerprint: string, digest: string | undefined): string {
  return digest === undefined ? fingerprint : `${fingerprint}+${digest}`;
}

/** Whether two fingerprints are of runs with different plugins, or only one has a plugin. */
export function differInPlugin(a: string, b: string): boolean {
  return a.split("+")[1] !== b.split("+")[1];
}
