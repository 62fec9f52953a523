/**
 * Packs what device.sh needs beside the sources, for a machine without Bun, npm and a network:
 * bun test/cuda/device/pack.ts [FILE], by default .native/device-kit.tar. Needs xz, tar and gcc. Pack
 * again when a C kernel has changed: only a machine with a compiler can do without.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { cpuEmbeddedFiles } from "../../../ffi/cpu/embedded-files.ts";
import { nativeDir } from "../../../ffi/paths.ts";
import { fetchRuntime, GCC_RUNTIME } from "../../../scripts/setup/gcc-runtime.ts";
import { fetchDnnl, isFetched } from "../../../scripts/setup/onednn.ts";

/** What a kit may take, so that it travels with the sources. */
const MOST_BYTES = 60e6;
const OUTPUT = process.argv[2] ?? join(nativeDir, "device-kit.tar");

const scratch = mkdtempSync(join(nativeDir, "tmp."));
try {
  const [native, kit] = ["native", "kit"].map((name) => join(scratch, name));
  await copyNative(native!);
  mkdirSync(kit!);
  run(["tar", "-cJf", join(kit!, "native.tar.xz"), "-C", native!, "."]);
  await compress(process.execPath, join(kit!, "bun.xz"));
  copyUnpacker(kit!);
  run(["tar", "-cf", OUTPUT, "-C", kit!, "."]);
  const { size } = statSync(OUTPUT);
  if (size > MOST_BYTES)
    throw new Error(`${OUTPUT} has ${size} bytes, at most ${MOST_BYTES} may be`);
  console.log(`${OUTPUT}: ${(size / 1e6).toFixed(1)} MB`);
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** The CPU backend's libraries, for any processor. */
async function copyNative(to: string) {
  await fetchRuntime();
  if (!isFetched()) await fetchDnnl(); // set-up leaves it out where the system has a oneDNN
  const files = new Map(await cpuEmbeddedFiles(scratch));
  for (const name of ["libgomp.so.1", "libstdc++.so.6", "libgcc_s.so.1"])
    files.set(join(relative(nativeDir, GCC_RUNTIME.folder), name), join(GCC_RUNTIME.folder, name));
  for (const [name, path] of files) {
    mkdirSync(dirname(join(to, name)), { recursive: true });
    copyFileSync(path, join(to, name));
  }
}

/** This machine's xz and its library, for one that has neither it nor Python. */
function copyUnpacker(to: string) {
  const xz = run(["sh", "-c", "command -v xz"]).trim();
  copyFileSync(xz, join(to, "xz"));
  const library = /liblzma\S* => (\S+)/.exec(run(["ldd", xz]))?.[1];
  if (library !== undefined) copyFileSync(library, join(to, "liblzma.so.5"));
}

async function compress(from: string, to: string) {
  const child = Bun.spawn(["xz", "-6", "-T0", "-c", from], { stdout: Bun.file(to) });
  if ((await child.exited) !== 0) throw new Error(`xz did not compress ${from}`);
}

function run(command: readonly string[]): string {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command]);
  if (exitCode !== 0) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
  return stdout.toString();
}
