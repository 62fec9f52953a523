import { renameSync, rmSync } from "node:fs";

/**
 * Renames the folder `whole` to `folder`, replacing an incomplete one. Where another set-up has
 * completed the folder meanwhile, that one stays.
 */
export function moveIntoPlace(whole: string, folder: string, isComplete: () => boolean): void {
  if (!isComplete()) rmSync(folder, { recursive: true, force: true });
  try {
    renameSync(whole, folder);
  } catch (error) {
    if (!isComplete()) throw error; // otherwise another set-up was faster
  }
}
