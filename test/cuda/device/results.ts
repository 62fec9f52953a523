import { appendFileSync, mkdirSync } from "node:fs";
import { join } from "node:path";
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

/** Creates the folder of results. `name`: of the summary, such as "2026-11-28-nvidia-h100". */
export function openResults(folder: string, name: string): Results {
  mkdirSync(folder, { recursive: true });
  const lines: Line[] = [];
  return {
    add(line) {
      lines.push(line);
      appendFileSync(join(folder, FILES.lines), `${JSON.stringify(line)}\n`);
    },
    log: (text) => appendFileSync(join(folder, FILES.log), text),
    summarize() {
      const path = join(folder, `${name}.json`);
      const parts = Map.groupBy(lines, ({ part }) => part);
      const summary = Object.fromEntries(
        [...parts].map(([part, group]) => [part, group.map(withoutPart)]),
      );
      writeFileAtomic(path, `${JSON.stringify(summary, null, 2)}\n`);
      return path;
    },
  };
}

// --- internal ---

function withoutPart(line: Line): object {
  const { part: _, ...rest } = line;
  return rest;
}
