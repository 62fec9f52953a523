import type { Pushed } from "../core/io/hub-push.ts";
import { byteSize } from "./byte-size.ts";
import { metricLine } from "./metrics-text.ts";
import { printable } from "./printable.ts";

/** A file's path in the repository, and its size in bytes. */
export interface FileSize {
  readonly path: string;
  readonly size: number;
}

/** Files with their sizes, and the sum. */
export function sizesText(files: readonly FileSize[]): string {
  const sum = files.reduce((total, { size }) => total + size, 0);
  return [
    ...files.map(({ path, size }) => metricLine(printable(path), byteSize(size))),
    metricLine(`${files.length} files`, byteSize(sum)),
  ].join("\n");
}

/** What a push has changed, and where to look at it. */
export function pushedText(pushed: Pushed, files: readonly FileSize[]): string {
  const { url, commit, isNew, visibility, created, uploaded, deleted } = pushed;
  if (!isNew) return [`nothing to push: ${url} holds the same files`, commit].join("\n");
  const sent = files.filter(({ path }) => uploaded.includes(path));
  const same = files.length - sent.length;
  return [
    ...sent.map(({ path, size }) => metricLine(printable(path), byteSize(size))),
    ...deleted.map((path) => metricLine(printable(path), "deleted")),
    ...(same > 0 ? [metricLine(`${same} files`, "unchanged")] : []),
    metricLine("repository", `${visibility}${created ? ", new" : ""}`),
    metricLine("commit", commit),
    url,
  ].join("\n");
}
