import { existsSync } from "node:fs";
import { join } from "node:path";
import { isSettingName, type Layer } from "../config/run-config.ts";
import { settings } from "../config/settings.ts";
import { readJsonObject } from "../io/json-file.ts";
import { runFiles } from "./run-folder.ts";

/** The settings in a run's config.json; undefined if the folder is not a run's. */
export function readSavedConfig(dir: string): Layer["values"] | undefined {
  const path = join(dir, runFiles.config);
  if (!existsSync(path)) return undefined;
  const raw = readJsonObject(path);
  const isRun = typeof raw["task"] === "string" && !Object.hasOwn(raw, "model_type");
  if (!isRun) return undefined;
  const known = Object.entries(raw).flatMap(([name, value]) => {
    const read = isSettingName(name) ? settings[name].read(value) : undefined;
    return read === undefined ? [] : [[name, read] as const];
  });
  return Object.fromEntries(known);
}
