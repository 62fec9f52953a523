import { existsSync } from "node:fs";
import { join } from "node:path";
import { looksLikeRepo } from "../../io/hub-repo.ts";
import type { FileToPush } from "../../io/hub-writer.ts";
import { type JsonObject, readJsonObject } from "../../io/json-file.ts";
import { runFiles } from "../run-folder.ts";
import type { Which } from "../run-of.ts";

/**
 * What a run's repository holds besides the weights, in `run/`: the log, the results, the ranks of
 * the last weights, and the settings without those that name local files.
 */
export function runRecords(run: string, which: Which): readonly FileToPush[] {
  const always = [runFiles.log, runFiles.metrics];
  const names = which === "last" ? [...always, runFiles.ranks] : always;
  const copies = names
    .filter((name) => existsSync(join(run, name)))
    .map((name) => ({ path: `run/${name}`, content: Bun.file(join(run, name)) }));
  const settings = portableSettings(run);
  const text = `${JSON.stringify(settings, null, 2)}\n`;
  return [...copies, { path: `run/${runFiles.config}`, content: new Blob([text]) }];
}

/** The settings of a run that mean the same on another machine. */
export function portableSettings(run: string): JsonObject {
  const settings = readJsonObject(join(run, runFiles.config));
  const kept = Object.entries(settings).filter(([name, value]) => {
    if (name === "out") return false;
    return !PLACES.has(name) || (typeof value === "string" && isOnHub(value));
  });
  return Object.fromEntries(kept);
}

// --- internal ---

/** Settings whose values are files, folders or names on the hub. */
const PLACES: ReadonlySet<string> = new Set(["data", "from", "model", "plugins", "tokenizer"]);

/** Whether a setting names something on the hub: "org/name", also with "@revision" or ":config". */
function isOnHub(value: string): boolean {
  const [name = ""] = value.split(":", 1);
  return name.includes("/") && looksLikeRepo(name) && !existsSync(name);
}
