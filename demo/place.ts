import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AdaloraError, errors } from "../core/errors.ts";
import { writeDirectoryAtomic, writeFileAtomic } from "../core/io/atomic.ts";
import { cacheFolder } from "../core/io/cache-folder.ts";
import weights from "./model/model.safetensors" with { type: "file" };
import { demoModelConfig } from "./model-config.ts";
import { drawSplits, toTsv } from "./splits.ts";
import { drawStatement } from "./statements.ts";
import { demoTokenizerJson } from "./tokenizer.ts";

/** Seed and sizes of the task's data. */
const data = { seed: 3, sizes: { train: 8000, validation: 1000 } };

/**
 * The hash of the data's files. It names their folder, so that they are drawn, which takes a second,
 * only where they are not in the cache. A test compares it with the files.
 */
export const DATA_HASH = "3e35274340e59a95";

type NamedFile = readonly [name: string, content: string | Uint8Array];

/** The folder of the demo's pretrained model, which is part of the program, in the user's cache. */
export function demoModel(): string {
  const files: readonly NamedFile[] = [
    ["config.json", JSON.stringify(demoModelConfig(), null, 2)],
    ["tokenizer.json", JSON.stringify(demoTokenizerJson())],
    ["model.safetensors", readFileSync(weights)],
  ];
  return cachedFolder(`model-${hashOf(files)}`, () => files);
}

/** The folder of the demo's data, drawn if needed: train.tsv and validation.tsv. */
export const demoData = (): string => cachedFolder(`data-${DATA_HASH}`, drawData);

/** Draws the files of the demo's data. */
export const drawData = (): readonly NamedFile[] =>
  Object.entries(drawSplits(drawStatement, data)).map(([name, rows]) => [
    `${name}.tsv`,
    toTsv(rows),
  ]);

/** A hash of files' contents, for the name of their folder. */
export function hashOf(files: readonly NamedFile[]): string {
  const hash = new Bun.CryptoHasher("sha256");
  for (const [, content] of files) hash.update(content);
  return hash.digest("hex").slice(0, 16);
}

// --- internal ---

/**
 * Writes files to a folder of the cache, unless it exists; without a writable cache, to a temporary
 * folder that is removed at exit. `name` changes with the files.
 */
function cachedFolder(name: string, filesOf: () => readonly NamedFile[]): string {
  for (const parent of places()) {
    const folder = join(parent, name);
    if (existsSync(folder)) return folder;
    try {
      writeDirectoryAtomic(folder, (scratch) => {
        for (const [file, content] of filesOf()) writeFileAtomic(join(scratch, file), content);
      });
      return folder;
    } catch (error) {
      if (!(error instanceof AdaloraError)) throw error;
    }
  }
  throw errors.machine(
    "no folder for the demo's model and data: neither the cache nor a temporary folder is writable",
    "set XDG_CACHE_HOME or TMPDIR to a writable folder",
  );
}

function* places(): Generator<string> {
  const cache = cacheFolder();
  if (cache !== undefined) yield join(cache, "demo");
  temporary ??= temporaryFolder();
  if (temporary !== undefined) yield temporary;
}

let temporary: string | undefined;

/** A new folder that is removed at exit; undefined where none can be created. */
function temporaryFolder(): string | undefined {
  for (const parent of [tmpdir(), "/dev/shm"]) {
    try {
      const folder = mkdtempSync(join(parent, "adalora-demo-"));
      process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
      return folder;
    } catch {
      // not writable: try the next
    }
  }
  return undefined;
}
