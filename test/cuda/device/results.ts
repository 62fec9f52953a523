import { appendFileSync, existsSync, mkdirSync, renameSync } from "node:fs";
import { extname, join } from "node:path";
import { writeFileAtomic } from "../../../core/io/atomic.ts";

/** One result: a figure, a failure, or how a part ended. */
export interface Line {
  readonly part: string;
  readonly [key: string]: unknown;
}

/** Results on disk, each at once: a machine may be taken away at any time. */
export interface Results {
  add(line: Line): void;
  /** Adds what a job printed beside its results. */
  log(text: string): void;
  /** Writes all results to one file, fit for bench/results. Returns its path. */
  summarize(): string;
}

/** The names of the files in the results' folder. */
export const FILES = { lines: "results.jsonl", log: "log.txt" } as const;

/**
 * Creates the folder of results. `name`: of the summary, such as "2026-11-28-nvidia-h100". Files of
 * an earlier run get the first free number: "results-1.jsonl".
 */
export function openResults(folder: string, name: string): Results {
  mkdirSync(folder, { recursive: true });
  const summary = `${name}.json`;
  keepEarlier(folder, [...Object.values(FILES), summary]);
  const lines: Line[] = [];
  return {
    add(line) {
      lines.push(line);
      appendFileSync(join(folder, FILES.lines), `${JSON.stringify(line)}\n`);
    },
    log: (text) => appendFileSync(join(folder, FILES.log), text),
    summarize() {
      const path = join(folder, summary);
      const parts = Map.groupBy(lines, ({ part }) => part);
      const groups = [...parts].map(([part, group]) => [part, group.map(withoutPart)]);
      writeFileAtomic(path, `${JSON.stringify(Object.fromEntries(groups), null, 2)}\n`);
      return path;
    },
  };
}

// --- internal ---

/** Renames files that are there, all with one number. */
function keepEarlier(folder: string, names: readonly string[]) {
  const present = names.filter((name) => existsSync(join(folder, name)));
  const numbered = (name: string, n: number) =>
    join(folder, name.replace(extname(name), `-${n}${extname(name)}`));
  let n = 1;
  while (names.some((name) => existsSync(numbered(name, n)))) n++;
  for (const name of present) renameSync(join(folder, name), numbered(name, n));
}

function withoutPart(line: Line): object {
  const { part: _, ...rest } = line;
  return rest;
}
