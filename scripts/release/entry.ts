import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Carried, CONTENTS, LICENCES } from "../../ffi/contents.ts";
import type { EmbeddedFile } from "../../ffi/embedded-registry.ts";
import { projectDir } from "../../ffi/paths.ts";
import packageJson from "../../package.json" with { type: "json" };

const COMPRESS_FROM = 50_000; // bytes; unpacking smaller files would cost more than it saves
const COMPRESSION = 9; // zstd level: 15 saves 90 kB, and takes ten times as long

/**
 * Writes the entry point of the executable, which registers the embedded files and runs the command
 * line; returns its path.
 */
export function writeEntry(
  scratch: string,
  natives: ReadonlyMap<string, string>,
  carried: readonly Carried[],
  licences: string,
): string {
  const hash = createHash("sha256");
  const all: (readonly [name: string, bytes: Buffer])[] = [
    ...[...natives].map(([name, path]) => [name, readFileSync(path)] as const),
    [CONTENTS, Buffer.from(JSON.stringify(carried))],
    [LICENCES, Buffer.from(licences)],
  ];
  const files = all.map(([name, bytes], i) => {
    hash.update(name).update(bytes);
    const compressed = bytes.length > COMPRESS_FROM;
    const path = join(scratch, `file${i}`);
    writeFileSync(path, compressed ? Bun.zstdCompressSync(bytes, { level: COMPRESSION }) : bytes);
    return { name, path, bytes: bytes.length, compressed } satisfies EmbeddedFile;
  });
  const id = `${packageJson.version}-${hash.digest("hex").slice(0, 12)}`;
  const entry = join(scratch, "entry.ts");
  writeFileSync(entry, entryCode(id, files));
  return entry;
}

function entryCode(id: string, files: readonly EmbeddedFile[]): string {
  const text = (value: unknown) => JSON.stringify(value);
  return [
    ...files.map(({ path }, i) => `import file${i} from ${text(path)} with { type: "file" };`),
    `import { registerEmbeddedFiles } from ${text(join(projectDir, "ffi/embedded-registry.ts"))};`,
    `import { main } from ${text(join(projectDir, "cli/main.ts"))};`,
    `import { exit } from ${text(join(projectDir, "cli/report.ts"))};`,
    `registerEmbeddedFiles({ id: ${text(id)}, files: [`,
    ...files.map(
      ({ name, bytes, compressed }, i) =>
        `  { name: ${text(name)}, path: file${i}, bytes: ${bytes}, compressed: ${compressed} },`,
    ),
    "] });",
    "exit(await main(process.argv.slice(2)));",
  ].join("\n");
}
