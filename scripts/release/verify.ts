import { createHash } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { nativeDir, projectDir } from "../../ffi/paths.ts";
import { runInForeground } from "../tools.ts";
import { writePluginCase } from "./plugin-case.ts";
import { timesFault } from "./times.ts";

const MEGABYTE = 1e6;
const EXECUTABLE_BYTES = 140 * MEGABYTE;
const TARBALL_BYTES = MEGABYTE;
/** The demo, shortened: enough for equal or different bits. */
const SHORT_RUN = "run --max-steps 60 --threads 2".split(" ");

/**
 * Tests a built executable and the npm package of this checkout as a release: hashes, sizes, times,
 * bare systems, npm's installs, and equal bits from all of them. Prints a line for each; returns the
 * exit code. What this machine can't test (no root, no network) is a failure: a release is verified
 * where everything is.
 */
export function verify(executable: string): number {
  const scratch = mkdtempSync(join(tmpdir(), "adalora-verify-"));
  const pluginCase = join(scratch, "case");
  writePluginCase(pluginCase);
  const proofs: [what: string, proof: () => string | undefined][] = [
    ["the sha256 beside the executable", () => hashFault(executable)],
    ["its size", () => sizeFault(executable, EXECUTABLE_BYTES)],
    ["its times", () => timesFault(executable, scratch)],
    ["npm pack", () => packFault(scratch)],
    ["bare roots", () => script("bare-roots.sh", executable, join(nativeDir, "roots"), pluginCase)],
    ["npx", () => script("npx.sh", join(scratch, tarballIn(scratch)), scratch, pluginCase)],
    ["equal bits", () => bitsFault(executable, scratch, SHORT_RUN, ["npm"])],
    ["equal bits of a plugin's family", () => pluginBitsFault(executable, pluginCase)],
  ];
  try {
    const failed = proofs.filter(([what, proof]) => {
      const fault = faultOf(proof);
      console.log(`verify: ${what}: ${fault ?? "passed"}`);
      return fault !== undefined;
    });
    console.log(`verify: ${proofs.length - failed.length} passed, ${failed.length} failed`);
    return failed.length === 0 ? 0 : 1;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

// --- internal ---

/** A proof's fault; one that can't be tried, because an earlier one failed, has its error. */
function faultOf(proof: () => string | undefined): string | undefined {
  try {
    return proof();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const hashOfFile = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");

function hashFault(executable: string): string | undefined {
  const expected = `${hashOfFile(executable)}  ${basename(executable)}\n`;
  return readFileSync(`${executable}.sha256`, "utf8") === expected ? undefined : "differs";
}

function sizeFault(path: string, limit: number): string | undefined {
  const { size } = statSync(path);
  return size <= limit ? undefined : `${size} bytes, at most ${limit}`;
}

function packFault(scratch: string): string | undefined {
  const pack = ["npm", "pack", "--silent", "--pack-destination", scratch];
  const run = Bun.spawnSync(pack, { cwd: projectDir, stdin: "ignore" });
  if (run.exitCode !== 0) return run.stderr.toString().trim();
  return sizeFault(join(scratch, tarballIn(scratch)), TARBALL_BYTES);
}

const tarballIn = (folder: string) =>
  readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "no tarball";

/** Runs one of the release's scripts in the foreground. */
function script(name: string, ...args: string[]): string | undefined {
  const status = runInForeground(["sh", join(projectDir, "test/release", name), ...args]);
  return status === 0 ? undefined : `ended with status ${status}`;
}

/**
 * Trains the same run from the executable and from the checkout; `others` are folders that the
 * scripts have left it in.
 */
function bitsFault(
  executable: string,
  folder: string,
  words: readonly string[],
  others: readonly string[],
): string | undefined {
  const launchers = { executable, source: join(projectDir, "adalora") };
  for (const [name, launcher] of Object.entries(launchers)) {
    const command = [launcher, ...words, "--quiet", "--out", join(folder, name)];
    const run = Bun.spawnSync(command, { cwd: dirname(executable), stdin: "ignore" });
    if (run.exitCode !== 0) return `${name}: ${run.stderr.toString().trim()}`;
  }
  const hashes = [...Object.keys(launchers), ...others].map((name) =>
    hashOfFile(join(folder, name, "adapter/adapter_model.safetensors")),
  );
  return new Set(hashes).size === 1 ? undefined : `adapters differ: ${hashes.join(", ")}`;
}

/** The plugin's file trains to the same bits by npx, in a bare system, from here, and built. */
function pluginBitsFault(executable: string, folder: string): string | undefined {
  const words = readFileSync(join(folder, "words"), "utf8").replaceAll("CASE", folder).trim();
  return bitsFault(executable, folder, words.split(" "), ["npm", "bare"]);
}
