import type { FileToPush } from "../../core/io/hub-writer.ts";
import { portableSettings } from "../../core/run/push/run-records.ts";
import { reportPage } from "./page.ts";
import { readRun } from "./read-run.ts";

/**
 * Renders a run's report for its repository: it has the repository's name, and lacks the settings
 * that name local files.
 */
export function reportToPush(run: string, repository: string): FileToPush {
  const named = { name: repository, folder: repository, config: portableSettings(run) };
  const reported = { ...readRun(run), ...named };
  return { path: "run/report.html", content: new Blob([reportPage([reported])]) };
}
