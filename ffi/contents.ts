import { isExecutable, readEmbedded } from "./embedded-registry.ts";

/** Something that a released executable carries. */
export interface Carried {
  readonly name: string;
  readonly version: string;
  /** An SPDX expression. */
  readonly licence: string;
  /** "sha256:HEX", npm's "sha512-BASE64" of the package, or "git:HEX" of the source's commit. */
  readonly hash: string;
}

/** Name of the embedded list of what the release carries. */
export const CONTENTS = "contents.json";
/** Name of the embedded text of its licences. */
export const LICENCES = "licences.txt";

/** What this executable carries; undefined in a checkout or an npm package. */
export function carried(): readonly Carried[] | undefined {
  if (!isExecutable()) return undefined;
  const list: readonly Carried[] = JSON.parse(Buffer.from(readEmbedded(CONTENTS)).toString());
  return list;
}

/** The licences of everything that this executable carries, as a text; undefined elsewhere. */
export const carriedLicences = (): string | undefined =>
  isExecutable() ? Buffer.from(readEmbedded(LICENCES)).toString() : undefined;
