import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cpuFlags } from "../../ffi/cpu/isa.ts";
import packageJson from "../../package.json" with { type: "json" };
import { isFetched } from "../../scripts/setup/onednn.ts";
import { tinyTask } from "../cli/tiny-task.ts";

const project = join(import.meta.dir, "../..");
const root = mkdtempSync(join(tmpdir(), "adalora-executable-"));
afterAll(() => rmSync(root, { recursive: true }));

const possible = isFetched() && cpuFlags().has("avx2") && Bun.which("gcc") !== null;

test.skipIf(!possible)(
  "the executable trains on the CPU with nothing of the checkout (needs oneDNN and gcc)",
  () => {
    const executable = join(root, "bin", "adalora");
    const build = Bun.spawnSync([process.execPath, "scripts/build.ts", executable], {
      cwd: project,
      stdin: "ignore",
    });
    expect(build.stderr.toString()).toBe("");
    expect(build.exitCode).toBe(0);

    const home = join(root, "home");
    mkdirSync(home);
    const run = (...args: string[]) =>
      Bun.spawnSync([executable, ...args], { cwd: root, env: { HOME: home }, stdin: "ignore" });
    expect(run("--version").stdout.toString()).toBe(`${packageJson.version}\n`);
    expect(existsSync(join(home, ".cache"))).toBe(false); // nothing native was needed

    const { folder, model, data } = tinyTask();
    const flags = "--max-steps 8 --init-warmup 2 --final-warmup 2 --mask-interval 1 --batch-size 4";
    const paths = ["--model", model, "--data", data, "--out", join(root, "out"), "--device", "cpu"];
    const trained = run("run", "rte", ...flags.split(" "), ...paths, "--json");
    rmSync(folder, { recursive: true });
    expect(trained.stderr.toString()).not.toContain("error");
    expect(trained.exitCode).toBe(0);
    expect(JSON.parse(trained.stdout.toString())).toBeObject();
    expect(existsSync(join(root, "out/adapter/adapter_model.safetensors"))).toBe(true);

    const [unpacked = ""] = readdirSync(join(home, ".cache/adalora")).filter((name) =>
      name.startsWith(packageJson.version),
    );
    expect(readdirSync(join(home, ".cache/adalora", unpacked))).toContain("libgomp.so.1");
  },
);
