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

/** Names of the embedded files that describe the release. */
export const CONTENTS = "contents.json";
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
