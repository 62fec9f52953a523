import { existsSync } from "node:fs";
import { join } from "node:path";
import { isSettingName, type Layer } from "../config/run-config.ts";
import { settings } from "../config/settings.ts";
import { type JsonObject, readJsonObject } from "../io/json-file.ts";
import { readFacts } from "../model/adapter-facts.ts";
import { runFiles } from "./run-folder.ts";

/** The settings in a run's config.json; undefined if the folder is not a run's. */
export function readSavedConfig(dir: string): Layer["values"] | undefined {
  const path = join(dir, runFiles.config);
  if (!existsSync(path)) return undefined;
  const raw = readJsonObject(path);
  const isRun = typeof raw["task"] === "string" && !Object.hasOwn(raw, "model_type");
  return isRun ? settingsIn(raw) : undefined;
}

/** The settings that an adapter's folder holds for `predict`; undefined if PEFT alone wrote it. */
export function readAdapterSettings(dir: string): Layer["values"] | undefined {
  const facts = readFacts(dir);
  if (facts === undefined) return undefined;
  const { task, labels, settings: applied } = facts;
  return settingsIn({ ...applied, task, ...(labels && { labels }) });
}

// --- internal ---

/** The settings of a JSON object that have valid values. */
function settingsIn(raw: JsonObject): Layer["values"] {
  const known = Object.entries(raw).flatMap(([name, value]) => {
    const read = isSettingName(name) ? settings[name].read(value) : undefined;
    return read === undefined ? [] : [[name, read] as const];
  });
  return Object.fromEntries(known);
}
