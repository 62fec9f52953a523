import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json" with { type: "json" };

const project = join(import.meta.dir, "../..");
const root = mkdtempSync(join(tmpdir(), "adalora-package-"));
afterAll(() => rmSync(root, { recursive: true }));

const env = { PATH: process.env["PATH"] ?? "", HOME: join(root, "home") };
function run(command: string[], cwd: string) {
  const ran = Bun.spawnSync(command, { cwd, env, stdin: "ignore" });
  return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
}

const LIMIT_MS = 120_000;

describe.skipIf(Bun.which("npm") === null)("the npm package (needs npm)", () => {
  const tarball = join(root, `adalora-${packageJson.version}.tgz`);
  const modules = join(root, "project/node_modules");
  const at = join(modules, "adalora");

  beforeAll(() => {
    const types = run([process.execPath, "scripts/package.ts"], project);
    expect(types).toEqual({ code: 0, out: "", err: "" });
    const pack = ["npm", "pack", "--ignore-scripts", "--offline", "--pack-destination", root];
    expect(run(pack, project).code).toBe(0);
    mkdirSync(at, { recursive: true });
    run(["tar", "-xzf", tarball, "-C", at, "--strip-components=1"], root);
    // Hoisted, as npm installs them.
    for (const name of readdirSync(join(project, "node_modules")))
      if (!name.startsWith("."))
        symlinkSync(join(project, "node_modules", name), join(modules, name));
  }, LIMIT_MS);

  test("is at most 1 MB, with the program, its types and no tests", () => {
    expect(statSync(tarball).size).toBeLessThan(1e6);
    const names = (folder: string) => readdirSync(join(at, folder)).toSorted().join(" ");
    expect(names("")).toBe("LICENSE README.md adalora lib package.json types");
    expect(names("lib")).toBe("bunfig.toml cli core demo ffi models package.json plugins scripts");
    expect(names("lib/scripts")).toBe("bootstrap.sh setup");
    expect(statSync(join(at, "adalora")).mode & 0o111).toBe(0o111);
  });

  test("runs from a project's node_modules, and needs no compiler for help, version and plan", () => {
    const bin = join(at, "adalora");
    expect(run([bin, "--version"], root).out).toBe(`${packageJson.version}\n`);
    expect(run([bin, "run", "--help"], root).out).toContain("Usage");
    const plan = run([bin, "plan", "--json"], root);
    expect(plan.code).toBe(0);
    expect(JSON.parse(plan.out)).toHaveProperty("schedule");
    expect(existsSync(join(at, "lib/.native"))).toBe(false);
  });

  const TSC = join(project, "node_modules/.bin/tsc");

  test.each(["bundler", "nodenext"])("a project imports a plugin with types (%s)", (resolution) => {
    const folder = join(root, "project");
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(folder, "plugin.ts"),
      `import { configReader, definePlugin, type ModelPlugin, nn, ops, tokenizers } from "adalora";
       import { deberta } from "adalora/plugins/deberta/index";
       export const mine: ModelPlugin = definePlugin({ ...deberta, name: "mine", modelTypes: ["mine"] });
       export const width: number = configReader({ width: 3 }, "config.json").width("width");
       export const kit = [nn.Linear, ops.linear, tokenizers.bert.special.pad] as const;
       // @ts-expect-error a plugin has a name
       export const nameless: ModelPlugin = { ...deberta, name: undefined };
       // @ts-expect-error the kit has no such module
       export const none = nn.None;
      `,
    );
    writeFileSync(
      join(folder, "plugin.test.ts"),
      `import { expect, test } from "bun:test";
       import { kit, mine, width } from "./plugin.ts";
       test("the plugin", () => expect(mine.modelTypes).toEqual(["mine"]));
       test("the kit", () => expect([kit.length, kit[2], width]).toEqual([3, "[PAD]", 3]));
      `,
    );
    const module = resolution === "bundler" ? "esnext" : "nodenext";
    const flags = `--noEmit --strict --skipLibCheck --module ${module} --target esnext --types bun`;
    const compiler = [process.execPath, TSC, ...flags.split(" ")];
    const checked = run([...compiler, "--moduleResolution", resolution, "plugin.ts"], folder);
    expect(checked).toEqual({ code: 0, out: "", err: "" });
    expect(run([process.execPath, "test"], folder).err).toContain(" 2 pass");
  });

  test("a new plugin and its test have types from the package, and the test passes", () => {
    const folder = join(root, "project");
    expect(run([join(at, "adalora"), "plugin", "new", "fresh"], folder).code).toBe(0);
    const flags =
      "--noEmit --strict --skipLibCheck --allowImportingTsExtensions --module preserve --target esnext --types bun";
    const compiler = [process.execPath, TSC, ...flags.split(" ")];
    const checked = run([...compiler, "fresh.ts", "fresh.test.ts"], folder);
    expect(checked).toEqual({ code: 0, out: "", err: "" });
    expect(run([process.execPath, "test", "./fresh.test.ts"], folder).err).toContain(" 4 pass");
  });
});
