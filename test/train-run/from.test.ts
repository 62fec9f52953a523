import { beforeAll, describe, expect, test } from "bun:test";
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { adapterBytes } from "../helpers/run-results.ts";
import { commandTest, lossesIn } from "./command.ts";

const { run, start, training, path, task } = commandTest();
const [lora, ada] = [path("lora"), path("ada")];

beforeAll(async () => {
  const method = { method: "lora", "init-rank": 2, alpha: 24, out: lora };
  expect((await run(training(method, pruning))).code).toBe(0);
  expect((await run(training({ out: ada, alpha: 24 }))).code).toBe(0);
});

const pruning = ["init-warmup", "final-warmup", "mask-interval", "target-rank"];
const fixed = ["init-rank"];

const configOf = (out: string): Record<string, unknown> =>
  JSON.parse(readFileSync(join(out, "config.json"), "utf8"));

describe("--from", () => {
  test("trains a LoRA on as a LoRA, with the recipe's other options, and says so in its config", async () => {
    const out = path("lora-on");
    const { code, stdout } = await run(training({ from: lora, out }, [...pruning, ...fixed]));
    expect([code, stdout]).toEqual([0, expect.stringContaining("24 of 24 ranks kept")]);
    expect(configOf(out)).toMatchObject({ from: lora, method: "lora", initRank: 2, alpha: 24 });
    expect(configOf(out)).not.toHaveProperty("modules");
    expect(adapterBytes(out)).not.toEqual(adapterBytes(lora));
    expect((await run(["eval", "--adapter", out, "--device", "reference"])).code).toBe(0);
  });

  test("begins where the adapter ended: the first loss is not that of a new adapter", async () => {
    const frozen = { lr: 1e-30, "max-steps": 3, "cls-dropout": 0 };
    const losses: number[][] = [];
    for (const [name, flags] of [
      ["again", { from: lora }],
      ["svd", { from: lora, method: "adalora" }],
      ["new", { method: "lora" }],
    ] as const) {
      const out = path(`frozen-${name}`);
      const without = name === "svd" ? fixed : [...pruning, ...fixed];
      expect((await run(training({ ...frozen, ...flags, out }, without))).code).toBe(0);
      losses.push(lossesIn(out));
    }
    const [again = [], svd = [], anew = []] = losses;
    expect(svd).toEqual(again.map((loss) => expect.closeTo(loss, 6)));
    expect(Math.abs(anew[0]! - again[0]!)).toBeGreaterThan(0.01);
  });

  test("plan shows what comes from where", async () => {
    const plan = async (flags: Record<string, string>, without: readonly string[]) => {
      const [, ...words] = training(flags, without);
      const { stdout } = await run(["plan", ...words]);
      return /^from[^]*?(?=^adapter)/m.exec(stdout)?.[0].trimEnd();
    };
    expect(await plan({ from: lora }, [...pruning, ...fixed])).toBe(
      [
        `from        LoRA ${lora}`,
        "            24 ranks",
        "            in full: classifier, pooler.dense",
        "ranks       2 in 12 matrices (the adapter's)",
      ].join("\n"),
    );
    expect(await plan({ from: lora, method: "adalora" }, fixed)).toBe(
      [
        `from        LoRA ${lora}`,
        "            24 ranks by the SVD of each increment, the others with E = 0",
        "            in full: classifier, pooler.dense",
        "ranks       2 to an average of 1 in 12 matrices (target rank 1)",
      ].join("\n"),
    );
    expect(await plan({ from: ada }, fixed)).toBe(
      [
        `from        AdaLoRA ${ada}`,
        "            12 triplets, 24 pruned ones stay pruned",
        "            in full: classifier, pooler.dense",
        "ranks       an average of 1 in 12 matrices (the adapter's)",
      ].join("\n"),
    );
    expect(await plan({ from: ada, "from-pruned": "revived" }, fixed)).toBe(
      [
        `from        AdaLoRA ${ada}`,
        "            12 triplets, 24 pruned ones start anew with E = 0",
        "            in full: classifier, pooler.dense",
        "ranks       3 to an average of 1 in 12 matrices (target rank 1)",
      ].join("\n"),
    );
  });

  test("keeps an AdaLoRA's ranks, masks of the initial rank and scale, also twice", async () => {
    const [first, second] = [path("ada-2"), path("ada-3")];
    expect((await run(training({ from: ada, out: first }, fixed))).code).toBe(0);
    const again = training({ from: first, out: second, "target-rank": 0.5 }, fixed);
    expect((await run(again)).code).toBe(0);
    const ranks = [ada, first, second].map((out) => {
      const adapter = readPeftAdapter(join(out, "adapter"));
      if (adapter.method !== "adalora") throw new Error("not AdaLoRA");
      expect([adapter.initRank, adapter.alpha, adapter.modules.length]).toEqual([3, 24, 12]);
      return adapter.modules.map(({ mask }) => mask);
    });
    expect(ranks[1]).toEqual(ranks[0]);
    expect(ranks[2]!.flat().filter(Boolean).length).toBe(6);
    ranks[2]!.forEach((mask, i) =>
      mask.forEach((kept, t) => expect(kept && !ranks[0]![i]![t]).toBe(false)),
    );
  });

  test("resumes to the same bytes after kill -9, and not from another adapter", async () => {
    const source = path("source");
    cpSync(join(ada, "adapter"), source, { recursive: true });
    const flags = { from: source, "from-pruned": "revived", "save-steps": 6 };
    const [uncut, cut] = [path("uncut"), path("cut")];
    expect((await run(training({ ...flags, out: uncut }, fixed))).code).toBe(0);
    const started = start(training({ ...flags, out: cut }, fixed));
    await started.signalAfter("checkpoint after step 6", "SIGKILL");
    await started.ended;
    const other = readFileSync(join(ada, "adapter/adapter_config.json"), "utf8");
    writeFileSync(join(source, "adapter_config.json"), `${other} `);
    const refused = await run(training({ ...flags, out: cut, resume: true }, fixed));
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/^error /m)]);
    writeFileSync(join(source, "adapter_config.json"), other);
    const resumed = await run(["run", "--resume", "--out", cut, "--device", "reference"]);
    expect([resumed.code, resumed.stderr]).toEqual([0, expect.stringContaining("resuming after")]);
    expect(adapterBytes(cut)).toEqual(adapterBytes(uncut));
  });

  test.each([
    [{ from: "LORA", "init-rank": 3 }, "--init-rank 3 does not apply to --from"],
    [{ from: "LORA", alpha: 8 }, "--alpha 8 does not apply to --from"],
    [{ from: "LORA", modules: "query" }, "--modules does not apply to --from"],
    [{ from: "LORA", start: "eva" }, "--start eva does not apply to --from"],
    [{ from: "LORA", "from-pruned": "revived", method: "adalora" }, "nothing in it was pruned"],
    [{ from: "LORA", method: "adalora", "init-rank": 1 }, "the LoRA has rank 2, and each of"],
    [
      { from: "ADA", method: "lora" },
      "the adapter is an AdaLoRA: use --method adalora or svd-lora",
    ],
    [{ from: "ADA", method: "head" }, "--from does not apply to method head"],
    [{ "from-pruned": "kept" }, "--from-pruned is about the pruned triplets of --from"],
    [{ from: "nowhere/at/all/x.txt" }, "nowhere/at/all"],
  ])("is refused with %j", async (flags, message) => {
    const given: Readonly<Record<string, string | number>> = flags;
    const folders: Readonly<Record<string, string>> = { LORA: lora, ADA: ada };
    const from = given["from"] ?? "";
    const named = from === "" ? given : { ...given, from: folders[from] ?? from };
    const without = [...pruning, ...fixed].filter((name) => !(name in given));
    const { code, stderr } = await run(training({ ...named, out: path("refused") }, without));
    expect([code, stderr]).toEqual([1, expect.stringContaining(message)]);
  });

  test("an adapter in the folder that --overwrite replaces is refused, and kept", async () => {
    const out = path("own");
    cpSync(lora, out, { recursive: true });
    const flags = { from: out, out, overwrite: true } as const;
    const { code, stderr } = await run(training(flags, [...pruning, ...fixed]));
    expect([code, stderr]).toEqual([1, expect.stringContaining("--overwrite does not apply to")]);
    expect(adapterBytes(out)).toEqual(adapterBytes(lora));
  });

  test("a quantised base model is refused by name", async () => {
    const model = path("quantised");
    cpSync(task.model, model, { recursive: true });
    const file = join(model, "config.json");
    const config: object = JSON.parse(readFileSync(file, "utf8"));
    const quantization = { quant_method: "bitsandbytes", load_in_4bit: true };
    writeFileSync(file, JSON.stringify({ ...config, quantization_config: quantization }));
    const words = ["eval", "--adapter", lora, "--model", model, "--device", "reference"];
    const { code, stderr } = await run(words);
    expect([code, stderr]).toEqual([1, expect.stringContaining("its layers are quantised")]);
  });

  test("a folder of several adapters is refused with their names", async () => {
    const folder = path("several");
    mkdirSync(folder);
    cpSync(join(lora, "adapter"), join(folder, "one"), { recursive: true });
    cpSync(join(ada, "adapter"), join(folder, "more/two"), { recursive: true });
    const { code, stderr } = await run(training({ from: folder, out: path("x") }, pruning));
    expect([code, stderr]).toEqual([1, expect.stringContaining("holds adapters in folders")]);
    expect(stderr).toContain(join(folder, "more/two"));
  });
});
