import { existsSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import { errors } from "../../core/errors.ts";
import { fileError } from "../../core/io/file-errors.ts";
import { isFolder } from "../../core/io/regular-file.ts";
import { shellCommand } from "../shell-command.ts";
import pluginText from "./template/plugin.txt" with { type: "text" };
import testText from "./template/test.txt" with { type: "text" };

/** The files that were written, and what to do with them. */
export interface NewPlugin {
  readonly files: readonly string[];
  readonly next: string;
}

/**
 * Writes NAME.ts and NAME.test.ts, a plugin that works and its test. `name` may have a folder before
 * it. Throws E_OUT for a name with other characters, without such a folder, and if a file exists.
 */
export function newPluginFiles(name: string): NewPlugin {
  const stem = name.replace(/\.ts$/, "");
  const family = basename(stem);
  if (!/^[a-z][\w-]*$/i.test(family)) {
    throw errors.out(name, "is no name for a plugin", "letters, digits, - and _, as in my-encoder");
  }
  if (!isFolder(dirname(stem))) throw errors.out(dirname(stem), "is no folder");
  const texts = new Map([
    [`${stem}.ts`, pluginText],
    [`${stem}.test.ts`, testText],
  ]);
  const files = [...texts.keys()];
  const taken = files.find((file) => existsSync(file));
  if (taken !== undefined) throw errors.out(taken, "exists already", "give another name");
  for (const [file, text] of texts) writeNew(file, text.replaceAll(/\bNAME\b/g, family));
  return { files, next: nextSteps(stem, files) };
}

// --- internal ---

/** Fails where the file exists, even if it came into being just now. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { flag: "wx" });
  } catch (cause) {
    throw fileError(file, cause);
  }
}

function nextSteps(stem: string, files: readonly string[]): string {
  const path = /^[./]/.test(stem) ? `${stem}.ts` : `./${stem}.ts`;
  return [
    ...files,
    "",
    "npm i -D adalora gives the editor types, and the test its imports. To check it with a model:",
    shellCommand(["adalora", "plugin", "check", path, "--model", "DIR"]),
    "",
    "To train with it:",
    shellCommand(["adalora", "run", "--plugin", path, "--model", "DIR", "--data", "DATA"]),
  ].join("\n");
}
