import { type AdaloraError, errors } from "../../core/errors.ts";
import { cutText } from "../../core/excerpt.ts";
import { lineIn, shownPath } from "../../core/model/guard-plugin.ts";
import { nearest } from "../../core/nearest.ts";
import type { PluginFile } from "./plugin-files.ts";

/** The error for what an import of a plugin's file threw: where, what and what to do. */
export async function importError(
  error: unknown,
  file: string,
  files: readonly PluginFile[],
): Promise<AdaloraError> {
  return (
    syntaxError(error) ??
    unresolvedError(error) ??
    (await missingExportError(error, file, files)) ??
    thrownError(error, file, files)
  );
}

// --- internal ---

/** Bun reports one mistake as itself, several as an AggregateError. */
function syntaxError(error: unknown): AdaloraError | undefined {
  const list: readonly unknown[] = error instanceof AggregateError ? error.errors : [error];
  const found = list.filter((one) => one instanceof BuildMessage);
  const [first] = found;
  const { position } = first ?? {};
  if (!first || !position) return undefined;
  const where = `${shownPath(position.file)}:${position.line}:${position.column}`;
  const others = found.length === 1 ? "" : ` (and ${found.length - 1} more)`;
  const line = cutText(position.lineText.trim());
  return errors.plugin(where, `${first.message}${others}`, `the line reads: ${line}`, error);
}

function unresolvedError(error: unknown): AdaloraError | undefined {
  if (!(error instanceof ResolveMessage)) return undefined;
  const { specifier, referrer } = error;
  const isFile = /^[./]/.test(specifier);
  const what = isFile ? "file" : "package";
  const hint = isFile
    ? "a path is read from the folder of the file that imports it"
    : specifier.startsWith("adalora/")
      ? 'a plugin imports everything from "adalora" alone'
      : `install it beside the plugin: npm i ${specifier}`;
  return errors.plugin(
    shownPath(referrer),
    `imports a ${what} that is not there: ${specifier}`,
    hint,
    error,
  );
}

/** The engine names the export and the module that lacks it, but not who imports it. */
async function missingExportError(
  error: unknown,
  file: string,
  files: readonly PluginFile[],
): Promise<AdaloraError | undefined> {
  if (!(error instanceof SyntaxError)) return undefined;
  const pattern = /(?:Export named|Missing) '(.+?)' (?:not found|export) in module '(.+?)'/;
  const [, name, module] = pattern.exec(error.message) ?? [];
  if (name === undefined || module === undefined) return undefined;
  const shown = module === "adalora" ? '"adalora"' : shownPath(module);
  const where = lineOf(name, module, files) ?? shownPath(file);
  const rule = `imports ${name}, which ${shown} does not export`;
  if (module !== "adalora") return errors.plugin(where, rule, undefined, error);
  const names = Object.keys(await import("../../core/kit/kit.ts"));
  const guess = nearest(name, names);
  const hint = `${guess === undefined ? "" : `did you mean ${guess}? `}it exports ${names.join(", ")}`;
  return errors.plugin(where, rule, hint, error);
}

/** The first line that has the name, in a file that imports the module: "bert.ts:1". */
function lineOf(name: string, module: string, files: readonly PluginFile[]): string | undefined {
  const stem = module.replace(/^.*\//, "").replace(/\.[cm]?[jt]sx?$/, "");
  const word = new RegExp(`(?<![\\w$])${RegExp.escape(name)}(?![\\w$])`);
  for (const { path, bytes } of files) {
    const text = bytes.toString("utf8");
    const imports = new RegExp(`["'][^"']*${RegExp.escape(stem)}[^"']*["']`);
    if (path === module || !imports.test(text)) continue;
    const index = text.split("\n").findIndex((line) => word.test(line));
    if (index >= 0) return `${shownPath(path)}:${index + 1}`;
  }
  return undefined;
}

function thrownError(error: unknown, file: string, files: readonly PluginFile[]): AdaloraError {
  const paths = files.map(({ path }) => path);
  const where = lineIn(error, paths) ?? shownPath(file);
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const rule = `throws while it is loaded: ${cutText(text.replaceAll(/\s*\n\s*/g, " "), 300)}`;
  return errors.plugin(where, rule, undefined, error);
}
