/**
 * Builds dist/adalora (or the given file): one executable with the program, the C kernels, oneDNN
 * and the libraries they need.
 */
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { devices } from "../cli/devices.ts";
import { errors } from "../core/errors.ts";
import { type EmbeddedFile, CPLUSPLUS_RUNTIME, systemOrEmbedded } from "../ffi/embedded.ts";
import { nativeDir, projectDir } from "../ffi/paths.ts";
import packageJson from "../package.json" with { type: "json" };
import { fetchDnnl, isFetched } from "./setup/onednn.ts";
import { runInForeground } from "./tools.ts";

const output = process.argv[2] ?? "dist/adalora";
const COMPRESS_FROM = 1_000_000; // bytes; unpacking smaller files would cost more than it saves
const COMPRESSION = 15; // zstd level

/**
 * Native files by path below the folder of native files: every device's, and the C++ runtime.
 */
async function nativeFiles(scratch: string): Promise<Map<string, string>> {
  if (!isFetched()) await fetchDnnl(); // set-up leaves it out where the system has a oneDNN
  const files = new Map(CPLUSPLUS_RUNTIME.map((name) => [name, systemLibrary(name)]));
  for (const device of devices) {
    for (const [name, path] of (await device.embeddedFiles?.(scratch)) ?? []) files.set(name, path);
  }
  return files;
}

function systemLibrary(name: string): string {
  const [found] = systemOrEmbedded(name);
  if (found === undefined)
    throw errors.machine(`this system has no ${name}`, "apt-get install libstdc++6");
  return found;
}

/**
 * Writes the entry point, which registers the embedded files and runs the command line; returns its
 * path.
 */
async function writeEntry(scratch: string): Promise<string> {
  const hash = createHash("sha256");
  const files = [...(await nativeFiles(scratch))].map(([name, source], i) => {
    const bytes = readFileSync(source);
    hash.update(name).update(bytes);
    const compressed = bytes.length > COMPRESS_FROM;
    const path = join(scratch, `file${i}`);
    writeFileSync(path, compressed ? Bun.zstdCompressSync(bytes, { level: COMPRESSION }) : bytes);
    return { name, path, bytes: bytes.length, compressed } satisfies EmbeddedFile;
  });
  const id = `${packageJson.version}-${hash.digest("hex").slice(0, 12)}`;
  const text = (value: unknown) => JSON.stringify(value);
  const entry = join(scratch, "entry.ts");
  writeFileSync(
    entry,
    [
      ...files.map(({ path }, i) => `import file${i} from ${text(path)} with { type: "file" };`),
      `import { registerEmbeddedFiles } from ${text(join(projectDir, "ffi/embedded.ts"))};`,
      `import { main } from ${text(join(projectDir, "cli/main.ts"))};`,
      `import { exit, tolerateClosedPipe } from ${text(join(projectDir, "cli/report.ts"))};`,
      `registerEmbeddedFiles({ id: ${text(id)}, files: [`,
      ...files.map(
        ({ name, bytes, compressed }, i) =>
          `  { name: ${text(name)}, path: file${i}, bytes: ${bytes}, compressed: ${compressed} },`,
      ),
      "] });",
      "tolerateClosedPipe();",
      "await exit(await main(process.argv.slice(2)));",
    ].join("\n"),
  );
  return entry;
}

const FLAGS = (
  "--compile --minify --sourcemap --bytecode --format=esm " +
  "--compile-autoload-package-json --no-compile-autoload-dotenv --no-compile-autoload-bunfig"
).split(" ");

const scratch = mkdtempSync(join(nativeDir, "tmp."));
try {
  const entry = await writeEntry(scratch);
  process.exitCode = runInForeground([
    process.execPath,
    "build",
    ...FLAGS,
    entry,
    "--outfile",
    output,
  ]);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
