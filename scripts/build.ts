/**
 * Builds dist/adalora (or the given file): one executable with the program, the C kernels, oneDNN,
 * the tokenizers and the libraries they need. Its sha256, the list of what it carries and their
 * licences are written beside it. With --verify it is then tested as a release.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { pageScript } from "../cli/report-page/page-script.ts";
import type { Carried } from "../ffi/contents.ts";
import { nativeDir } from "../ffi/paths.ts";
import { contents, hashOf, licences, type Part } from "./release/contents.ts";
import { writeEntry } from "./release/entry.ts";
import { nativeFiles, tokenizersExports } from "./release/native-files.ts";
import { checkSymbolVersions, claimedGlibc } from "./release/symbol-versions.ts";

const projectDir = join(import.meta.dir, "..");
const output = process.argv.slice(2).find((word) => !word.startsWith("--")) ?? "dist/adalora";

/** Replaces the npm package "tokenizers" by the library that the executable unpacks itself. */
const tokenizersPlugin: Bun.BunPlugin = {
  name: "tokenizers",
  setup(build) {
    const path = JSON.stringify(join(projectDir, "ffi/tokenizers.ts"));
    const code = `import { openTokenizers } from ${path};
      export const { ${tokenizersExports().join(", ")} } = openTokenizers();`;
    build.onResolve({ filter: /^tokenizers$/ }, () => ({ path: "it", namespace: "tokenizers" }));
    build.onLoad({ filter: /^it$/, namespace: "tokenizers" }, () => ({
      contents: code,
      loader: "js",
    }));
  },
};

/** Puts the script of a run's report in place of the module that reads it from node_modules. */
const reportPlugin: Bun.BunPlugin = {
  name: "report",
  setup(build) {
    build.onLoad({ filter: /report-page\/page-script\.ts$/ }, () => ({
      contents: `export const pageScript = () => ${JSON.stringify(pageScript())};`,
      loader: "js",
    }));
  },
};

async function compile(entry: string) {
  await Bun.build({
    entrypoints: [entry],
    target: "bun",
    format: "esm",
    minify: true,
    sourcemap: "inline",
    bytecode: true,
    plugins: [tokenizersPlugin, reportPlugin],
    compile: {
      outfile: output,
      autoloadPackageJson: true,
      autoloadDotenv: false,
      autoloadBunfig: false,
    },
  });
  rmSync(`${output}.map`, { force: true }); // a copy: the executable has it inside
}

/** Writes the hash, the list and the licences beside the executable. */
function describe(carried: readonly Carried[], licenceTexts: string) {
  const hash = hashOf(readFileSync(output)).replace("sha256:", "");
  writeFileSync(`${output}.sha256`, `${hash}  ${basename(output)}\n`);
  writeFileSync(`${output}.contents.json`, `${JSON.stringify(carried, null, 2)}\n`);
  writeFileSync(`${output}.licences.txt`, licenceTexts);
}

const withoutText = ({ name, version, licence, hash }: Part) => ({ name, version, licence, hash });

const scratch = mkdtempSync(join(nativeDir, "tmp."));
try {
  const files = await nativeFiles(scratch);
  const parts = contents(files);
  const carried = parts.map(withoutText);
  const licenceTexts = licences(parts);
  const elfFiles = [...files, ["bun", process.execPath] as const];
  checkSymbolVersions(
    elfFiles.map(([name, path]) => [name, readFileSync(path)]),
    claimedGlibc(),
  );
  await compile(writeEntry(scratch, files, carried, licenceTexts));
  describe(carried, licenceTexts);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
if (process.argv.includes("--verify")) {
  const { verify } = await import("./release/verify.ts");
  process.exitCode = verify(join(process.cwd(), dirname(output), basename(output)));
}
