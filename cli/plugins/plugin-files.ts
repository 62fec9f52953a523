import { readFileSync } from "node:fs";
import { dirname, extname } from "node:path";
import type { PluginOrigin } from "../../core/model/families.ts";

/** A file of a plugin, as it is read before it is imported. */
export interface PluginFile {
  readonly path: string;
  readonly bytes: Buffer;
}

/**
 * A plugin's own files: the entry, and what it imports by a relative path, in turn. Files that
 * cannot be read or parsed are left to the import, whose messages are better.
 */
export function pluginFiles(entry: string): readonly PluginFile[] {
  const found = new Map<string, PluginFile>();
  const waiting = [entry];
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    const bytes = found.has(path) ? undefined : tryTo(() => readFileSync(path));
    if (bytes === undefined) continue;
    found.set(path, { path, bytes });
    waiting.push(...relativeImports(path, bytes));
  }
  return [...found.values()];
}

/**
 * Where a plugin comes from. The digest covers neither paths, since a folder may move, nor packages
 * that the plugin imports and files that it reads itself.
 */
export function originOf(file: string, files: readonly PluginFile[]): PluginOrigin {
  const hash = new Bun.CryptoHasher("sha256");
  for (const { bytes } of files) hash.update(`${bytes.length}\n`).update(bytes);
  return { file, files: files.map(({ path }) => path), digest: hash.digest("hex") };
}

// --- internal ---

const loaders: Readonly<Record<string, "ts" | "tsx" | "js" | "jsx">> = {
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
  ".jsx": "jsx",
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
};

function relativeImports(path: string, bytes: Buffer): readonly string[] {
  const loader = loaders[extname(path)];
  if (loader === undefined) return [];
  const imports = tryTo(() => new Bun.Transpiler({ loader }).scanImports(bytes)) ?? [];
  return imports.flatMap(({ path: name }) => {
    if (!name.startsWith(".")) return [];
    return tryTo(() => Bun.resolveSync(name, dirname(path))) ?? [];
  });
}

function tryTo<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
