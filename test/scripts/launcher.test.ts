import { afterAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

const project = join(import.meta.dir, "../..");
const root = mkdtempSync(join(tmpdir(), "adalora launcher-")); // a space in the path on purpose
afterAll(() => rmSync(root, { recursive: true }));

let count = 0;

function script(path: string, text: string) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** A checkout with the real shell scripts, whose Bun only prints its command. */
function checkout(bun = "") {
  count += 1;
  const at = join(root, `checkout${count}`);
  mkdirSync(at);
  for (const name of ["adalora", "scripts/bootstrap.sh", "scripts/run.sh"])
    cpSync(join(project, name), join(at, name));
  writeFileSync(join(at, "package.json"), "{}");
  writeFileSync(join(at, "package-lock.json"), "{}");
  mkdirSync(join(at, "ffi/cpu/kernels"), { recursive: true });
  writeFileSync(join(at, "ffi/cpu/kernels/a.c"), "");
  script(join(at, "node_modules/bun/bin/bun.exe"), `echo "bun $*"\n${bun}`);
  writeFileSync(
    join(at, "node_modules/.adalora"),
    run(["sh", "-c", "cksum <package-lock.json"], { cwd: at }).out,
  );
  return at;
}

function setUpDone(at: string) {
  mkdirSync(join(at, ".native"), { recursive: true });
  writeFileSync(join(at, ".native/ready"), "");
  const future = new Date(Date.now() + 60_000);
  utimesSync(join(at, ".native/ready"), future, future);
}

function run(command: string[], options: { cwd?: string; path?: string } = {}) {
  const ran = Bun.spawnSync(command, {
    cwd: options.cwd ?? root,
    env: { PATH: options.path ?? process.env["PATH"] ?? "", HOME: root },
    stdin: "ignore",
  });
  return { code: ran.exitCode, out: ran.stdout.toString(), err: ran.stderr.toString() };
}

const setUpRun = "bun --no-env-file --no-install scripts/setup/main.ts";
const cliRun = (at: string, args: string) =>
  `bun --no-env-file --no-install --config=${at}/bunfig.toml ${at}/cli/main.ts${args}`;

describe("./adalora", () => {
  test("runs the command line and nothing else when set-up is done", () => {
    const at = checkout();
    setUpDone(at);
    const { out, code } = run([join(at, "adalora"), "run", "a b"]);
    expect(out).toBe(`${cliRun(at, " run a b")}\n`);
    expect(code).toBe(0);
  });

  test("works through a symbolic link, from another folder", () => {
    const at = checkout();
    setUpDone(at);
    const link = join(root, `link${count}`);
    symlinkSync(join(at, "adalora"), link);
    expect(run([link, "x"], { cwd: "/" }).out).toBe(`${cliRun(at, " x")}\n`);
  });

  test("sets up first on first use, and again when what set-up reads is newer", () => {
    const at = checkout();
    const both = `${setUpRun}\n${cliRun(at, " x")}\n`;
    expect(run([join(at, "adalora"), "x"]).out).toBe(both);
    setUpDone(at);
    const later = new Date(Date.now() + 120_000);
    for (const input of ["package-lock.json", "ffi/cpu/kernels/a.c", "scripts/bootstrap.sh"]) {
      const path = join(at, input);
      utimesSync(path, later, later);
      expect(run([join(at, "adalora"), "x"]).out).toBe(both);
      utimesSync(path, new Date(), new Date());
    }
    expect(run([join(at, "adalora"), "x"]).out).toBe(`${cliRun(at, " x")}\n`);
  });

  test("continues when set-up lacks a native part (3), and ends when it failed", () => {
    const lacking = checkout('case "$*" in *setup*) exit 3 ;; esac');
    expect(run([join(lacking, "adalora"), "x"]).out).toContain("cli/main.ts x");
    const failing = checkout('case "$*" in *setup*) exit 70 ;; esac');
    const { out, code } = run([join(failing, "adalora"), "x"]);
    expect(out).toBe(`${setUpRun}\n`);
    expect(code).toBe(1);
  });

  test("sets up no native files for help, the version and plans", () => {
    const at = checkout();
    const plugins = [" plugin new mine", " plugin list --json"];
    const plain = ["", " --help", " --version", " version", " plan rte --json", " run --help"];
    for (const line of [...plain, ...plugins])
      expect(run([join(at, "adalora"), ...line.split(" ").slice(1)]).out).toBe(
        `${cliRun(at, line)}\n`,
      );
    for (const line of [" run", " doctor", " predict -- --help", " plugin check mine.ts"])
      expect(run([join(at, "adalora"), ...line.split(" ").slice(1)]).out).toBe(
        `${setUpRun}\n${cliRun(at, line)}\n`,
      );
    expect(existsSync(join(at, ".native/ready"))).toBe(false);
  });

  test("hands on the command line's exit status", () => {
    const at = checkout('case "$*" in *cli/main.ts*) exit 130 ;; esac');
    setUpDone(at);
    expect(run([join(at, "adalora")]).code).toBe(130);
  });
});

describe("the npm packages", () => {
  /** A folder of commands: what a shell script needs, and the given npm. */
  function commands(npm: string | undefined) {
    const bin = join(root, `bin${count}`);
    mkdirSync(bin);
    for (const name of "sh cat chmod cksum cp date dirname find ln mkdir mktemp mv rm tail uname".split(
      " ",
    ))
      symlinkSync(Bun.which(name) ?? `no ${name}`, join(bin, name));
    if (npm !== undefined) script(join(bin, "npm"), npm);
    return bin;
  }
  const INSTALLS = `
    mkdir -p node_modules/@oven/bun-linux-x64/bin node_modules/bun/bin
    printf '#!/bin/sh\\necho "new bun $*"\\n' >node_modules/@oven/bun-linux-x64/bin/bun
    chmod +x node_modules/@oven/bun-linux-x64/bin/bun
    echo placeholder >node_modules/bun/bin/bun.exe`;
  const left = (at: string) => readdirSync(join(at, ".native"));

  test("are installed once, without install scripts, and node_modules/.bin/bun is the real one", () => {
    const at = checkout();
    rmSync(join(at, "node_modules"), { recursive: true });
    const path = commands(`echo "$*" >>"${at}/npm.log"; ${INSTALLS}`);
    for (let i = 0; i < 2; i++)
      expect(run([join(at, "adalora")], { path }).out).toContain("new bun --no-env-file");
    const log = run(["cat", join(at, "npm.log")]).out;
    expect(log).toBe("ci --ignore-scripts --no-audit --no-fund --loglevel=error\n");
    expect(run([join(at, "node_modules/bun/bin/bun.exe"), "-v"]).out).toBe("new bun -v\n");
    expect(left(at)).toEqual([]);
  });

  test("are replaced when the lock file changed", () => {
    const at = checkout();
    const path = commands(INSTALLS);
    writeFileSync(join(at, "package-lock.json"), "{ }");
    expect(run([join(at, "adalora")], { path }).out).toStartWith("new bun");
    const later = new Date(Date.now() + 60_000); // newer by its clock, the same by content
    utimesSync(join(at, "package-lock.json"), later, later);
    expect(run([join(at, "adalora")], { path }).err).toBe("");
    expect(left(at)).toEqual([]);
  });

  test("installed by hand are taken, unless the lock file is newer", () => {
    const at = checkout();
    rmSync(join(at, "node_modules/.adalora"));
    writeFileSync(join(at, "node_modules/.package-lock.json"), "{}");
    const path = commands(INSTALLS);
    expect(run([join(at, "adalora")], { path }).err).toBe("");
    const later = new Date(Date.now() + 60_000);
    utimesSync(join(at, "package-lock.json"), later, later);
    expect(run([join(at, "adalora")], { path }).out).toStartWith("new bun");
  });

  test("an install that fails leaves the old ones and nothing half-written", () => {
    const at = checkout();
    const path = commands("mkdir node_modules; echo 'npm error: no network' >&2; exit 1");
    writeFileSync(join(at, "package-lock.json"), "{ }");
    const { code, err } = run([join(at, "adalora")], { path });
    expect(code).toBe(1);
    expect(err).toContain("npm error: no network\nset-up: npm could not install the packages\n");
    expect(existsSync(join(at, "node_modules/bun/bin/bun.exe"))).toBe(true);
    expect(left(at)).toEqual([]);
  });

  test("with neither npm nor bun the message says how to get one", () => {
    const at = checkout();
    rmSync(join(at, "node_modules"), { recursive: true });
    const { code, err } = run([join(at, "adalora")], { path: commands(undefined) });
    expect(code).toBe(1);
    expect(err).toStartWith(
      "set-up: neither npm nor bun is installed\nset-up:   apt-get install npm",
    );
    expect(left(at)).toEqual([]);
  });
});

describe("an installed package", () => {
  /** A project's folder with the package in node_modules, Bun beside it, and no lock file. */
  function installed() {
    const unpacked = checkout();
    const parent = join(root, `project${count}`);
    const at = join(parent, "node_modules/adalora");
    mkdirSync(dirname(at), { recursive: true });
    renameSync(unpacked, at);
    rmSync(join(at, "package-lock.json"));
    renameSync(join(at, "node_modules/bun"), join(parent, "node_modules/bun"));
    rmSync(join(at, "node_modules"), { recursive: true });
    writeFileSync(join(at, "package.json"), '{\n  "name": "adalora",\n  "version": "1.2.3",\n}\n');
    mkdirSync(join(parent, "node_modules/.bin"));
    const bin = join(parent, "node_modules/.bin/adalora");
    symlinkSync("../adalora/adalora", bin);
    return { at, bin, modules: join(parent, "node_modules") };
  }

  test("uses the packages above it, without a lock file and without npm", () => {
    const { at, bin } = installed();
    expect(run([bin, "--help"]).out).toBe(`${cliRun(at, " --help")}\n`);
    expect(existsSync(join(at, ".native"))).toBe(false);
    expect(run([bin, "x"], { cwd: "/" }).out).toBe(`${setUpRun}\n${cliRun(at, " x")}\n`);
    expect(run(["node_modules/adalora/adalora", "-v"], { cwd: join(at, "../..") }).out).toBe(
      `${cliRun("node_modules/adalora", " -v")}\n`,
    );
  });

  test("uses its own Bun where the project has another", () => {
    const { at, bin, modules } = installed();
    script(join(modules, "bun/bin/bun.exe"), "echo another bun");
    script(join(modules, "@oven/bun-linux-x64/bin/bun"), "echo another bun");
    script(join(at, "node_modules/bun/bin/bun.exe"), "echo placeholder");
    script(join(at, "node_modules/@oven/bun-linux-x64/bin/bun"), 'echo "own bun $*"');
    expect(run([bin, "--help"]).out).toStartWith("own bun --no-env-file");
  });

  test("finds Bun beside a linked package, as pnpm installs it", () => {
    const { bin, modules } = installed();
    renameSync(join(modules, "bun"), join(root, `store${count}-bun`));
    const store = join(root, `store${count}/node_modules`);
    script(join(store, "bun/bin/bun.exe"), "echo placeholder");
    script(join(store, "@oven/bun-linux-x64/bin/bun"), 'echo "stored bun $*"');
    symlinkSync(join(store, "bun"), join(modules, "bun"));
    expect(run([bin, "--help"]).out).toStartWith("stored bun --no-env-file");
  });

  test("without Bun it says what to install", () => {
    const { bin, modules } = installed();
    rmSync(join(modules, "bun"), { recursive: true });
    const { code, err } = run([bin, "--help"]);
    expect(code).toBe(1);
    expect(err).toStartWith("set-up: npm installed no Bun for this machine\n");
  });

  test("in a read-only folder it keeps native files in the user's cache", () => {
    const { at, bin, modules } = installed();
    const home = join(root, `home${count}`);
    mkdirSync(home);
    chmodSync(at, 0o555);
    // Root can write anywhere: another user runs it.
    const other = process.getuid?.() === 0 ? { uid: 54321, gid: 54321 } : {};
    if (other.uid !== undefined) {
      chownSync(home, other.uid, other.uid);
      chmodSync(root, 0o755);
    }
    const cache = join(home, ".cache/adalora/package-1.2.3");
    script(join(modules, "bun/bin/bun.exe"), `touch "${cache}/ready"; echo "$*"`);
    const env = { PATH: process.env["PATH"], HOME: home };
    const start = () => spawnSync(bin, ["doctor"], { env, ...other, encoding: "utf8" });
    expect(start().stdout).toContain("scripts/setup/main.ts");
    expect(existsSync(join(cache, "ready"))).toBe(true);
    expect(start().stdout).not.toContain("scripts/setup/main.ts");
    chmodSync(at, 0o755);
  });
});

describe("run.sh", () => {
  test("demo sets up and runs the demo; other verbs run their script with the arguments", () => {
    const at = checkout();
    setUpDone(at);
    const sh = (...args: string[]) => run(["sh", join(at, "scripts/run.sh"), ...args]).out;
    expect(sh("demo", "--json")).toBe(`${setUpRun}\n${cliRun(at, " run --json")}\n`);
    expect(sh("test", "x")).toBe(`${setUpRun}\nbun --no-env-file --no-install scripts/test.ts x\n`);
    expect(sh("setup")).toBe(`${setUpRun} --verbose\n`);
  });
});
