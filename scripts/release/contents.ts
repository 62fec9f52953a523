import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { invariant } from "../../core/errors.ts";
import { fetchedDnnl } from "../../ffi/cpu/dnnl.ts";
import type { Carried } from "../../ffi/contents.ts";
import { projectDir } from "../../ffi/paths.ts";
import { TOKENIZERS } from "../../ffi/tokenizers.ts";
import packageJson from "../../package.json" with { type: "json" };
import lock from "../../package-lock.json" with { type: "json" };
import { GCC_RUNTIME } from "../setup/gcc-runtime.ts";
import { WHEEL } from "../setup/onednn.ts";
import { cratesOfTokenizers } from "./crates.ts";

/** A carried part with the text of its licence. */
export interface Part extends Carried {
  readonly licenceText: string;
}

/** "sha256:HEX" of bytes. */
export const hashOf = (bytes: Uint8Array) =>
  `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

/**
 * Lists what a release carries: Bun, the native files with what was linked into the tokenizers'
 * library, and the npm packages of the program.
 */
export function contents(files: ReadonlyMap<string, string>): readonly Part[] {
  const natives = [...files]
    .filter(([name]) => /\.so(\.\d+)*$|\.node$/.test(name))
    .map(([name, path]) => ({ ...origin(name), name: basename(name), hash: hashOf(read(path)) }));
  const { version } = npmPackage("node_modules/tokenizers");
  const crates = files.has(TOKENIZERS) ? cratesOfTokenizers(version) : [];
  return [bun(), ...natives, ...crates, ...npmPackages()];
}

/** The licences as one text, each once. */
export function licences(parts: readonly Part[]): string {
  const users = new Map<string, string[]>();
  for (const { licenceText, name, version } of parts)
    users.set(licenceText, [...(users.get(licenceText) ?? []), `${name} ${version}`]);
  const line = "=".repeat(78);
  return [...users]
    .map(([text, names]) => `${line}\n${names.join("\n")}\n${line}\n\n${text.trim()}\n`)
    .join("\n");
}

// --- internal ---

const read = (path: string) => readFileSync(path);
const text = (...path: string[]) => readFileSync(join(...path), "utf8");

/** Version and licence of a native file. */
function origin(name: string): Omit<Part, "name" | "hash"> {
  if (name.startsWith("kernels-"))
    return {
      version: packageJson.version,
      licence: packageJson.license,
      licenceText: text(projectDir, "LICENSE"),
    };
  if (name === TOKENIZERS) return npmPackage("node_modules/tokenizers");
  if (basename(name).startsWith("libdnnl")) {
    const folder = dirname(fetchedDnnl());
    return {
      version: `${WHEEL.name} ${WHEEL.version}`,
      licence: "Apache-2.0",
      licenceText: `${text(folder, "LICENSE")}\n${text(folder, "THIRD-PARTY-PROGRAMS")}`,
    };
  }
  return {
    version: `Debian ${GCC_RUNTIME.version}`,
    licence: "GPL-3.0-or-later WITH GCC-exception-3.1",
    licenceText: text(GCC_RUNTIME.folder, "copyright"),
  };
}

function bun(): Part {
  return {
    name: "bun",
    version: Bun.version,
    licence: "MIT AND LGPL-2.1-or-later",
    hash: hashOf(read(process.execPath)),
    licenceText: text(import.meta.dir, "bun-licence.txt"),
  };
}

interface Locked {
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly version?: string;
  readonly license?: string;
  readonly integrity?: string;
}

/** The npm packages that are no tools of development. Bun is the executable itself. */
function npmPackages(): Part[] {
  const packages: Readonly<Record<string, Locked>> = lock.packages;
  return Object.entries(packages)
    .filter(([path, { dev }]) => path !== "" && dev !== true && !/\/(bun|@oven\/.*)$/.test(path))
    .map(([path]) => npmPackage(path));
}

function npmPackage(path: string): Part {
  const packages: Readonly<Record<string, Locked>> = lock.packages;
  const { version, integrity } = packages[path] ?? {};
  const folder = join(projectDir, path);
  const declared: { license?: string } = JSON.parse(text(folder, "package.json"));
  invariant(version !== undefined && integrity !== undefined, () => `${path} is locked`);
  const licence = declared.license ?? "unknown";
  return {
    name: path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length),
    version,
    licence,
    hash: integrity,
    licenceText: licenceIn(folder) ?? `The ${licence} licence.`,
  };
}

function licenceIn(folder: string): string | undefined {
  if (!existsSync(folder)) return undefined;
  const file = readdirSync(folder).find((name) => /^(licen[sc]e|copying)/i.test(name));
  return file === undefined ? undefined : text(folder, file);
}
