import { importError } from "./import-errors.ts";
import type { PluginFile } from "./plugin-files.ts";
import { errors } from "../../core/errors.ts";
import { shownPath } from "../../core/model/guard-plugin.ts";

/** Seconds that a plugin may take to load. */
const LIMIT_SECONDS = 30;

/**
 * Imports a plugin's file, in which "adalora" is this program's own kit, whatever lies in a
 * node_modules: the same classes and symbols, from source and from the executable. Throws E_PLUGIN
 * for a file that cannot be imported.
 */
export async function importPlugin(
  file: string,
  files: readonly PluginFile[],
  limitSeconds = LIMIT_SECONDS,
): Promise<Readonly<Record<string, unknown>>> {
  await provideKit();
  let timer: Timer | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), 1000 * limitSeconds);
  });
  try {
    const loaded: unknown = await Promise.race([import(file), late]);
    if (loaded !== "late") return Object(loaded);
  } catch (error) {
    throw await importError(error, file, files);
  } finally {
    clearTimeout(timer);
  }
  const rule = `did not finish loading within ${limitSeconds} s`;
  throw errors.plugin(shownPath(file), rule, "a top-level await in it may never end");
}

// --- internal ---

let isProvided = false; // the module table is the process's, so this is too

async function provideKit(): Promise<void> {
  if (isProvided) return;
  isProvided = true;
  const kit = await import("../../core/kit/kit.ts");
  Bun.plugin({
    name: "adalora",
    setup(builder) {
      builder.module("adalora", () => ({ exports: { ...kit }, loader: "object" }));
    },
  });
}
