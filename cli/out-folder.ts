import { existsSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../core/errors.ts";

/** What a run writes into its folder. */
const runFile =
  /^(config\.json|metrics\.json|log\.jsonl|rank_pattern\.json|report\.html|predictions[._-].*|adapter|checkpoints|tensorboard)$/;

export interface FolderWishes {
  readonly resume: boolean;
  readonly overwrite: boolean;
}

/**
 * Refuses a folder that already holds a run, unless it is to be resumed or overwritten; changes nothing. Throws
 * E_OUT, also where the path is a file.
 */
export function checkOut(out: string, { resume, overwrite }: FolderWishes): void {
  if (resume && overwrite) throw errors.alternatives("--resume", "--overwrite");
  if (!existsSync(out)) return;
  if (!statSync(out).isDirectory()) throw errors.out(out, "is a file, not a folder");
  const holdsRun = readdirSync(out).some((name) => runFile.test(name));
  if (holdsRun && !resume && !overwrite) {
    const hint = "--resume goes on with it, --overwrite replaces it, --out DIR writes elsewhere";
    throw errors.out(out, "already holds a run", hint);
  }
}

/** Removes an earlier run from a folder, and nothing else in it. */
export function clearOut(out: string): void {
  if (!existsSync(out)) return;
  const names = readdirSync(out).filter((name) => runFile.test(name));
  for (const name of names) rmSync(join(out, name), { recursive: true, force: true });
}

/** The folder of a run that names none: a new one for each, "runs/rte-20260131-154501". */
export function defaultOut(task: string, now: Date): string {
  const two = (part: number) => String(part).padStart(2, "0");
  const date = [now.getFullYear(), now.getMonth() + 1, now.getDate()].map(two).join("");
  const time = [now.getHours(), now.getMinutes(), now.getSeconds()].map(two).join("");
  return join("runs", `${task}-${date}-${time}`);
}
