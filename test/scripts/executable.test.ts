import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { AdaloraError } from "../../core/errors.ts";
import { fetchedDnnl } from "../../ffi/cpu/dnnl.ts";
import { cpuFlags } from "../../ffi/cpu/isa.ts";
import { nativeDir } from "../../ffi/paths.ts";
import packageJson from "../../package.json" with { type: "json" };
import { writePluginCase } from "../../scripts/release/plugin-case.ts";
import { timesFault } from "../../scripts/release/times.ts";
import { fetchRuntime } from "../../scripts/setup/gcc-runtime.ts";
import { isFetched } from "../../scripts/setup/onednn.ts";
import { tinyTask } from "../cli/tiny-task.ts";
import { writeBagModel, writeBagPlugin } from "../helpers/bag-plugin.ts";

const project = join(import.meta.dir, "../..");
const root = mkdtempSync(join(tmpdir(), "adalora-executable-"));
afterAll(() => rmSync(root, { recursive: true }));

const possible =
  isFetched() && cpuFlags().has("avx2") && Bun.which("gcc") !== null && (await hasRuntime());

async function hasRuntime(): Promise<boolean> {
  try {
    await fetchRuntime();
    return true;
  } catch (error) {
    if (error instanceof AdaloraError) return false;
    throw error;
  }
}

const roots = join(nativeDir, "roots");
const hasRoots =
  process.getuid?.() === 0 &&
  ["bullseye", "bookworm"].every((suite) => existsSync(join(roots, suite, "complete")));

/** Writes a package of one module. */
function writePackage(folder: string, text: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "type": "module", "exports": "./main.js" }');
  writeFileSync(join(folder, "main.js"), text);
}

const BUILD_LIMIT_MS = 900_000; // four levels of kernels, compiled on busy cores
const RUN_LIMIT_MS = 120_000;
const MEGABYTE = 1e6;

describe.skipIf(!possible)("the executable (needs oneDNN, gcc and GCC's pinned runtime)", () => {
  const executable = join(root, "bin", "adalora");
  const run = (env: Record<string, string>, ...args: string[]) =>
    Bun.spawnSync([executable, ...args], { cwd: root, env, stdin: "ignore" });

  beforeAll(() => {
    const build = Bun.spawnSync([process.execPath, "scripts/build.ts", executable], {
      cwd: project,
      stdin: "ignore",
    });
    expect(build.stderr.toString()).toBe("");
    expect(build.exitCode).toBe(0);
  }, BUILD_LIMIT_MS);

  test("is at most 140 MB, with its hash, contents and licences beside it", () => {
    expect(statSync(executable).size).toBeLessThan(140 * MEGABYTE);
    const beside = readdirSync(join(root, "bin")).toSorted();
    const names = ["adalora", "adalora.contents.json", "adalora.licences.txt", "adalora.sha256"];
    expect(beside).toEqual(names);
    const hash = createHash("sha256").update(readFileSync(executable)).digest("hex");
    expect(readFileSync(`${executable}.sha256`, "utf8")).toBe(`${hash}  adalora\n`);

    const carried: Record<string, string>[] = JSON.parse(
      readFileSync(`${executable}.contents.json`, "utf8"),
    );
    const named = carried.map(({ name }) => name);
    expect(named).toContain("bun");
    expect(named).toContain("libdnnl.so.3");
    expect(named).toContain("libgomp.so.1");
    expect(named).toContain("citty");
    expect(named).toContain("tokenizers.node/regex-automata");
    expect(named).not.toContain("typescript");
    for (const { version, licence, hash: content } of carried) {
      expect(version).not.toBe("");
      expect(licence).toMatch(/Apache-2.0|MIT|BSD|GPL|ISC|Unlicense/);
      expect(content).toMatch(/^(sha256:[0-9a-f]{64}|sha512-.{88}|git:[0-9a-f]{40})$/);
    }
    const licences = readFileSync(`${executable}.licences.txt`, "utf8");
    for (const { name, version } of carried) expect(licences).toContain(`${name} ${version}`);
    expect(licences).toContain("GCC RUNTIME LIBRARY EXCEPTION");
    const printed = run({}, "version", "--verbose", "--json").stdout.toString();
    expect(JSON.parse(printed)).toEqual({ version: packageJson.version, contents: carried });
    expect(run({}, "version", "--licences").stdout.toString()).toBe(`${licences}\n`);
  });

  test(
    "starts in time, with and without unpacking",
    () => {
      expect(timesFault(executable, mkdtempSync(join(root, "times-")))).toBeUndefined();
    },
    RUN_LIMIT_MS,
  );

  test.skipIf(!hasRoots)(
    "trains in bare systems (needs root, and those that npm run build -- --verify fetches)",
    () => {
      const script = join(project, "test/release/bare-roots.sh");
      const plugin = join(root, "plugin-case");
      writePluginCase(plugin);
      const command = ["sh", script, executable, roots, plugin, "60"];
      const ran = Bun.spawnSync(command, { stdin: "ignore" });
      expect(ran.stdout.toString()).toEndWith("bare roots: all passed\n");
    },
    BUILD_LIMIT_MS,
  );

  test(
    "trains on the CPU with nothing of the checkout",
    () => {
      const home = join(root, "home");
      mkdirSync(home);
      const env = { HOME: home };
      expect(run(env, "--version").stdout.toString()).toBe(`${packageJson.version}\n`);
      expect(existsSync(join(home, ".cache"))).toBe(false); // nothing native was needed

      const { folder, model, data } = tinyTask();
      const flags =
        "--max-steps 8 --init-warmup 2 --final-warmup 2 --mask-interval 1 --batch-size 4";
      const paths = ["--model", model, "--data", data, "--out", join(root, "out")];
      const words = [...flags.split(" "), ...paths, "--device", "cpu", "--json"];
      const trained = run(env, "run", "rte", ...words);
      rmSync(folder, { recursive: true });
      expect(trained.stderr.toString()).not.toContain("error");
      expect(trained.exitCode).toBe(0);
      expect(JSON.parse(trained.stdout.toString())).toBeObject();
      expect(existsSync(join(root, "out/adapter/adapter_model.safetensors"))).toBe(true);

      const [unpacked = ""] = readdirSync(join(home, ".cache/adalora")).filter((name) =>
        name.startsWith(packageJson.version),
      );
      const libraries = join(home, ".cache/adalora", unpacked);
      expect(readdirSync(libraries)).toContain("libgomp.so.1");
      const dnnl = fetchedDnnl();
      const carried = join(libraries, relative(nativeDir, dnnl));
      expect(statSync(carried).size).toBeLessThan(0.9 * statSync(dnnl).size); // no symbol table
    },
    RUN_LIMIT_MS,
  );

  test(
    "trains a plugin's family with its own kit, to the bits of a run from source",
    () => {
      const { folder, data } = tinyTask();
      const [model, plugin] = [join(folder, "bag-model"), join(folder, "plugin")];
      writeBagModel(model);
      const special = 'import { special } from "./special.ts";';
      const lengths = 'import { longest } from "lengths";';
      const file = writeBagPlugin(
        plugin,
        ["maxLength: 64", "maxLength: longest"],
        [special, `${lengths}\n${special}`],
      );
      writePackage(join(plugin, "node_modules/lengths"), "export const longest = 77;");
      writePackage(join(plugin, "node_modules/adalora"), 'throw new Error("another adalora");');
      const outs = [true, false].map((isSource) => {
        const out = join(root, isSource ? "by-source" : "by-executable");
        const program = isSource ? [process.execPath, join(project, "cli/main.ts")] : [executable];
        const flags = "--modules dense --max-steps 8 --batch-size 4 --init-rank 3 --max-length 32";
        const words = [...flags.split(" "), "--model", model, "--data", data, "--plugin", file];
        const ran = Bun.spawnSync(
          [...program, "run", "rte", ...words, "--out", out, "--device", "cpu", "--json"],
          { cwd: root, env: { HOME: join(root, "home") }, stdin: "ignore" },
        );
        expect([ran.exitCode, ran.stderr.toString()]).toEqual([
          0,
          expect.not.stringContaining("error"),
        ]);
        return readFileSync(join(out, "adapter/adapter_model.safetensors"));
      });
      rmSync(folder, { recursive: true });
      expect(outs[0]?.equals(outs[1] ?? Buffer.of())).toBe(true);
    },
    RUN_LIMIT_MS,
  );

  test(
    "keeps its libraries in memory where no folder can hold them",
    () => {
      const env = { HOME: "/dev/null" }; // not a folder: not even root can write below it
      const { findings } = JSON.parse(run(env, "doctor", "--json").stdout.toString());
      const found = (what: string): { ok: boolean; found: string } =>
        findings.find((finding: { what: string }) => finding.what === what);
      for (const what of ["tokenizers", "kernels", "OpenMP", "oneDNN", "self-test"])
        expect(found(what)).toMatchObject({ ok: true });
      expect(found("oneDNN").found).toMatch(/\/proc\/self\/fd\/\d+$/);
    },
    RUN_LIMIT_MS,
  );
});
