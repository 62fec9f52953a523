import { describe, expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeBagModel, writeBagPlugin } from "../helpers/bag-plugin.ts";
import { commandTest, predictionsIn } from "./command.ts";

const { path, run, runProcess, start, task, training } = commandTest();

const model = path("bag-model");
writeBagModel(model);
const plugin = writeBagPlugin(path("families"));

/** Training of a model of the plugin's family; without a recipe, whose modules are another's. */
const bagFlags = { model, modules: "dense", "max-length": 32 };

/** Flags that the full method does not use. */
const adaptersOnly = ["init-warmup", "final-warmup", "mask-interval", "init-rank", "target-rank"];

describe("a run of a plugin's family", () => {
  const out = path("bag");

  test("names the plugin by a path from the current folder, and keeps its absolute path", async () => {
    const flags = { ...bagFlags, plugin: "../families/bag.ts", out };
    const trained = await runProcess(training(flags));
    expect(trained).toMatchObject({ code: 0 });
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config.plugins).toEqual([plugin]);
    expect(readdirSync(out)).toContain("adapter");
  });

  test("is evaluated and predicted with without the flag", async () => {
    const words = ["--adapter", out, "--device", "reference"];
    const evaluated = await run(["eval", ...words, "--json"]);
    expect(evaluated.code).toBe(0);
    const predicted = await run(["predict", ...words, "the cat", "a moon"]);
    expect(predictionsIn(predicted.stdout)).toHaveLength(1);
    expect(predicted.stderr).not.toMatch(/error|another version/);
  });

  test("is exported without the flag", async () => {
    const words = ["--to", "merged", "--out", path("merged"), "--device", "reference"];
    const exported = await run(["export", out, ...words]);
    expect([exported.code, exported.stderr]).toEqual([0, expect.not.stringContaining("error")]);
    expect(readdirSync(path("merged"))).toContain("model.safetensors");
  });

  test("and one trained in full predict with a warning after the plugin has changed", async () => {
    const full = path("bag-full");
    const { model: base, "max-length": length } = bagFlags;
    const flags = { model: base, "max-length": length, method: "full", plugin, out: full };
    expect(await run(training(flags, adaptersOnly))).toMatchObject({ code: 0 });
    const helper = path("families", "special.ts");
    const bytes = readFileSync(helper);
    writeFileSync(helper, `${bytes.toString()}// changed\n`);
    for (const words of [
      ["--adapter", out],
      ["--model", full],
    ]) {
      const { code, stderr } = await run(["predict", ...words, "--device", "reference", "a", "b"]);
      expect([code, stderr.replaceAll(/\s+/g, " ")]).toEqual([
        0,
        expect.stringContaining(
          `was trained with another version of the plugin "bag": ${plugin} has changed, and results may differ`,
        ),
      ]);
    }
    writeFileSync(helper, bytes);
  });

  test("names it in a file by a path from the file's folder", async () => {
    const file = path("families", "mine.toml");
    const text = [
      `task = "rte"`,
      `plugins = ["./bag.ts"]`,
      `model = "${model}"`,
      `data = "${task.data}"`,
      `modules = ["dense"]`,
      `max_length = 32`,
    ];
    writeFileSync(file, text.join("\n"));
    const planned = await run(["plan", file, "--json"]);
    expect(planned).toMatchObject({ code: 0 });
    expect(JSON.parse(planned.stdout).config.plugins).toEqual([plugin]);
  });

  test("without the plugin is refused, with how to name it", async () => {
    const { code, stderr } = await run(training({ ...bagFlags, out: path("none") }));
    expect(code).toBe(1);
    expect(stderr).toContain('no plugin handles model_type "bag"');
    expect(stderr).toContain("--plugin FILE|PACKAGE adds a family");
  });

  test("longer than its plugin's limits is refused, with the length that fits", async () => {
    const flags = { ...bagFlags, plugin, "max-length": 65, out: path("none") };
    const { code, stderr } = await run(training(flags));
    expect([code, stderr]).toEqual([
      1,
      "error  --max-length must be at most 64 for this model, got 65\n  hint: --max-length 64 cuts longer texts\n",
    ]);
  });

  test("with a plugin that is refused reads no data", async () => {
    const broken = writeBagPlugin(path("broken"), [`name: "bag",`, ""]);
    const flags = { ...bagFlags, plugin: broken, data: path("no-data"), out: path("none") };
    for (const words of [training(flags), ["run", ...training(flags).slice(2)]]) {
      const { code, stderr } = await run(words);
      expect(code).toBe(1);
      expect(stderr).toMatch(
        /^error {2}.*bag\.ts: "name" must be of letters, digits, ., _, \+ and -, got nothing\n$/,
      );
    }
  });
});

describe("a plugin that fails outside any call of it ends the command:", () => {
  test.each([
    ["in a timer", 'setTimeout(() => { throw new Error("late"); }, 0);'],
    ["in a promise", 'void Promise.reject(new Error("late"));'],
  ])("%s", async (where, text) => {
    const kit = 'import { special } from "./special.ts";';
    const late = writeBagPlugin(path(where.replaceAll(" ", "-")), [kit, `${kit}\n${text}`]);
    const flags = { ...bagFlags, plugin: late, out: path("late") };
    const { code, stderr } = await runProcess(training(flags));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error {2}plugin "bag", called back, .*bag\.ts:3:\d+: late\n$/m);
  });
});

describe("a plugin that fails while it trains is named, with the line of its file:", () => {
  const forward = 'return classifier.forward(pass, dense.forward(pass, x, "tanh"));';
  const cases: readonly (readonly [string, string, string])[] = [
    ["in forward", `throw new RangeError("no");`, "forward, "],
    [
      "when backward runs a layer again",
      `let runs = 0;
        return pass.checkpoint([x.buffer], () => {
          if (runs++ > 0) throw new RangeError("no");
          ${forward}
        });`,
      "called back, ",
    ],
  ];
  test.each(cases)("%s", async (name, body, where) => {
    const broken = writeBagPlugin(path(name.replaceAll(" ", "-")), [forward, body]);
    const flags = { ...bagFlags, plugin: broken, checkpointing: true, out: path("fails") } as const;
    const { code, stderr } = await run(training(flags));
    expect(code).toBe(1);
    const line = readFileSync(broken, "utf8")
      .split("\n")
      .findIndex((one) => one.includes("RangeError"));
    expect(stderr).toContain(`error  plugin "bag", ${where}${broken}:${line + 1}:`);
    expect(stderr).toEndWith(": RangeError: no\n");
  });
});

describe("a resumed run of a plugin's family", () => {
  const source = writeBagPlugin(path("changing"));
  const out = path("interrupted");
  const flags = { ...bagFlags, plugin: source, "save-steps": 2 };
  const resume = (...more: string[]) => run(["run", "--resume", "--out", out, ...more]);

  test("is refused while the plugin has other bytes, also in a file beside it", async () => {
    const first = start(training({ ...flags, "max-steps": 2000, out }));
    await first.signalAfter("/2000", "SIGINT");
    expect((await first.ended).code).toBe(130);
    const helper = path("changing", "special.ts");
    const bytes = readFileSync(helper);
    writeFileSync(helper, `${bytes.toString()}// changed\n`);
    const { code, stderr } = await resume();
    expect(code).toBe(1);
    expect(stderr).toContain("was written with another version of the plugin");
    expect(stderr).toContain("hint: restore the plugin's files as they were, or start again");
    writeFileSync(helper, bytes);
  });

  test("is refused with the plugin's path where the plugin has moved, and takes its new one", async () => {
    mkdirSync(path("moved"));
    renameSync(path("changing"), path("moved", "bag"));
    const lost = await resume();
    expect(lost.code).toBe(1);
    expect(lost.stderr).toContain(`--plugin ${source}: does not exist`);
    const found = start(["run", "--resume", "--out", out, "--plugin", path("moved/bag/bag.ts")]);
    await found.signalAfter("/2000", "SIGINT");
    const { stderr } = await found.ended;
    expect(stderr).toContain("resuming after step");
    const config = JSON.parse(readFileSync(join(out, "config.json"), "utf8"));
    expect(config.plugins).toEqual([path("moved/bag/bag.ts")]);
  });
});
