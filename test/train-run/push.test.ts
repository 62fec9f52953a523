import { beforeAll, describe, expect, test } from "bun:test";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { pushHub } from "../helpers/push-hub.ts";
import { commandTest, predictionsIn } from "./command.ts";

const TOKEN = "hf_secretSecretSecret";
const hub = pushHub(TOKEN);
const { run, training, path, task, home } = commandTest();
const dev = join(task.data, "dev.tsv");
const device = ["--device", "reference"];

const online = (more: Record<string, string> = {}) => ({
  HF_HUB_OFFLINE: "0",
  HF_ENDPOINT: hub.urls.hub,
  HF_TOKEN: TOKEN,
  ...more,
});
const push = (args: readonly string[], more?: Record<string, string>) =>
  run(["push", ...args], online(more));
/** A user on another machine: an empty home, and none of this one's files. */
const elsewhere = (name: string) => {
  mkdirSync(path(name), { recursive: true });
  return online({ HOME: path(name), XDG_CACHE_HOME: path(name, "cache") });
};

const filesOf = (name: string) => hub.head(name)?.files ?? new Map<string, { bytes: Buffer }>();
const ownFiles = (name: string) =>
  [...filesOf(name).keys()].filter((one) => one !== ".gitattributes");
const jsonOf = (name: string, file: string) => JSON.parse(String(filesOf(name).get(file)?.bytes));

beforeAll(async () => {
  const base = Object.fromEntries(
    readdirSync(task.model).map((name) => [name, readFileSync(join(task.model, name))]),
  );
  const config = {
    ...JSON.parse(String(base["config.json"])),
    _name_or_path: "/home/someone/base",
  };
  base["config.json"] = Buffer.from(JSON.stringify(config));
  const files = Object.entries(base).map(
    ([name, bytes]) => [name, { bytes, isLarge: false }] as const,
  );
  hub.repos.set("org/base", {
    private: false,
    commits: [{ oid: "b".repeat(40), files: new Map(files) }],
  });
  const flags = { model: "org/base", "max-steps": 8, out: path("run") };
  const { code, stderr } = await run(training(flags), online());
  expect([code, stderr.includes("error")]).toEqual([0, false]);
});

describe("push of a run", () => {
  test("--dry-run lists files and sizes, and sends nothing", async () => {
    hub.requests.length = 0;
    const { code, stdout } = await push([path("run"), "me/rte", "--dry-run"], { HF_TOKEN: "" });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^adapter_model\.safetensors +\d+\.\d KiB$/m);
    expect(stdout).toMatch(/^11 files +[\d.]+ [KM]iB\n$/m);
    expect(hub.requests).toEqual([]);
  });

  test("makes a private repository with the adapter and the run's records", async () => {
    const { code, stdout, stderr } = await push([path("run"), "me/rte", "--json"]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toMatchObject({
      name: "me/rte",
      kind: "adapter",
      url: `${hub.urls.hub}/me/rte`,
      created: true,
      visibility: "private",
      commit: hub.head("me/rte")?.oid,
    });
    expect(ownFiles("me/rte").toSorted()).toEqual([
      "README.md",
      "adalora.json",
      "adapter_config.json",
      "adapter_model.safetensors",
      "run/config.json",
      "run/log.jsonl",
      "run/metrics.json",
      "run/rank_pattern.json",
      "run/report.html",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const settings = jsonOf("me/rte", "run/config.json");
    expect(settings).toMatchObject({ task: "rte", model: "org/base", maxSteps: 8 });
    expect(Object.keys(settings)).not.toContain("data"); // a folder
    expect(jsonOf("me/rte", "run/metrics.json")).toMatchObject({ task: "rte", steps: 8 });
    const report = filesOf("me/rte").get("run/report.html")?.bytes.toString() ?? "";
    expect(report).toContain("me/rte");
    expect(report).not.toContain(path("run"));
  });

  test("makes no commit the second time", async () => {
    const { code, stdout } = await push([path("run"), "me/rte"]);
    expect([code, stdout.split("\n")[0]]).toEqual([
      0,
      `nothing to push: ${hub.urls.hub}/me/rte holds the same files`,
    ]);
    expect(hub.repos.get("me/rte")?.commits.length).toBe(2);
  });

  test("predicts class names on another machine by the repository's name alone", async () => {
    const there = elsewhere("other");
    const input = ["--input", dev, ...device];
    const pushed = await run(["predict", "--adapter", "me/rte", ...input], there);
    expect([pushed.code, pushed.stderr]).toEqual([0, ""]);
    const local = await run(["predict", "--adapter", path("run"), ...input], online());
    expect(predictionsIn(pushed.stdout)).toEqual(predictionsIn(local.stdout));
    expect(predictionsIn(pushed.stdout)[0]?.prediction).toMatch(/entailment$/);
  });

  test("--which best takes the best weights, and replaces the last ones", async () => {
    const { code, stdout } = await push([path("run"), "me/best", "--which", "best", "--public"]);
    expect(code).toBe(0);
    expect(stdout).toContain("public, new");
    expect(hub.repos.get("me/best")?.private).toBe(false);
    const best = readFileSync(path("run", "best_adapter", "adapter_model.safetensors"));
    expect(filesOf("me/best").get("adapter_model.safetensors")?.bytes.equals(best)).toBe(true);
    expect(ownFiles("me/best")).not.toContain("run/rank_pattern.json");
  });
});

describe("push of other folders", () => {
  test("a merged model loads by its name; what the base's files said of a path is left out", async () => {
    const merged = path("merged");
    const merge = ["merge", path("run"), "-o", merged, ...device];
    expect((await run(merge, online())).code).toBe(0);
    expect(readFileSync(join(merged, "config.json"), "utf8")).toContain("/home/someone");
    const { code, stdout } = await push([merged, "me/merged"]);
    expect(code).toBe(0);
    expect(stdout).toContain(`${hub.urls.hub}/me/merged\n`);
    expect(jsonOf("me/merged", "config.json")).toMatchObject({ _name_or_path: "" });
    const there = elsewhere("third");
    const input = ["--input", dev, ...device];
    const predicted = await run(["predict", "--model", "me/merged", ...input], there);
    expect([predicted.code, predicted.stderr]).toEqual([0, ""]);
    expect(predictionsIn(predicted.stdout)[0]?.prediction).toMatch(/entailment$/);
  });

  test("a model in place of an adapter takes the adapter's files away", async () => {
    await push([path("run", "adapter"), "me/changed"]);
    expect(ownFiles("me/changed")).toContain("adapter_model.safetensors");
    const { code, stdout } = await push([path("merged"), "me/changed"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^adapter_model\.safetensors +deleted$/m);
    expect(ownFiles("me/changed").filter((name) => name.startsWith("adapter"))).toEqual([]);
  });

  test("an adapter as PEFT leaves it: no path, and a card", async () => {
    const peft = path("peft");
    mkdirSync(peft);
    for (const name of ["adapter_config.json", "adapter_model.safetensors"]) {
      cpSync(path("run", "adapter", name), join(peft, name));
    }
    const config = JSON.parse(readFileSync(join(peft, "adapter_config.json"), "utf8"));
    config.base_model_name_or_path = "/scratch/someone/base";
    writeFileSync(join(peft, "adapter_config.json"), JSON.stringify(config));
    writeFileSync(join(peft, "training_args.bin"), "not ours to send");
    const { code, stderr } = await push([peft, "me/peft"]);
    expect([code, stderr.split("\n")[0]]).toEqual([
      0,
      "warn  the adapter names no base model on the hub: its users must give it",
    ]);
    expect(jsonOf("me/peft", "adapter_config.json").base_model_name_or_path).toBeNull();
    expect(ownFiles("me/peft").toSorted()).toEqual([
      "README.md",
      "adapter_config.json",
      "adapter_model.safetensors",
    ]);
  });

  test("results go to the leaderboard of a data set that declares it, and leave with it", async () => {
    const bytes = Buffer.from("tasks:\n- {id: rte, config: rte, split: validation}\n");
    const files = new Map([["eval.yaml", { bytes, isLarge: false }]]);
    hub.repos.set("org/bench", { private: false, commits: [{ oid: "c".repeat(40), files }] });
    const adapter = path("of-bench");
    cpSync(path("run", "adapter"), adapter, { recursive: true });
    const facts = JSON.parse(readFileSync(join(adapter, "adalora.json"), "utf8"));
    expect(facts.training.mainMetric).toBe("accuracy");
    facts.training.dataset = { id: "org/bench", config: "rte", wholeSplits: true };
    writeFileSync(join(adapter, "adalora.json"), JSON.stringify(facts));

    expect((await push([adapter, "me/scored"])).code).toBe(0);
    const sent = filesOf("me/scored").get(".eval_results/adalora.yaml")?.bytes.toString() ?? "";
    expect(Bun.YAML.parse(sent)).toMatchObject([
      {
        dataset: { id: "org/bench", task_id: "rte" },
        value: facts.training.metrics.validation.accuracy,
      },
    ]);

    hub.repos.delete("org/bench");
    const { code, stdout, stderr } = await push([adapter, "me/scored"]);
    expect(code).toBe(0);
    expect(stderr).toContain("warn  no results for leaderboards are sent: org/bench: no such data");
    expect(stdout).toMatch(/^\.eval_results\/adalora\.yaml +deleted$/m);
  });

  test("a folder of something else, or no folder, is an error", async () => {
    const { code, stderr } = await push([task.data, "me/data"]);
    expect([code, stderr]).toEqual([
      1,
      expect.stringContaining("holds neither adapter_config.json nor config.json"),
    ]);
    expect((await push([path("nothing"), "me/data"])).stderr).toContain("is no folder");
    expect(hub.repos.has("me/data")).toBe(false);
  });
});

describe("what is private", () => {
  const leaks = [
    [`My token is ${TOKEN}.`, "an access token"],
    [`Use hf_${"a1".repeat(18)}.`, "an access token"],
    [`Trained in ${home}/runs.`, "a path of this machine"],
    ["base_model: /home/someone/models/base", "a local path"],
    ["See C:\\Users\\someone\\run.", "a local path"],
    [`Run by me@${hostname()}.`, "this machine's name"],
  ] as const;

  test("is refused in a card, without a request and without showing the token", async () => {
    for (const [text, what] of leaks) {
      const folder = path("leak");
      cpSync(path("run", "adapter"), folder, { recursive: true });
      writeFileSync(join(folder, "README.md"), `# Card\n\n${text}\n`);
      hub.requests.length = 0;
      const { code, stderr } = await push([folder, "me/leak"]);
      expect([text, code, stderr]).toEqual([text, 1, expect.stringContaining(`holds ${what}`)]);
      expect(stderr).not.toContain(TOKEN);
      expect(hub.requests).toEqual([]);
    }
  });

  test("is in no file of a repository, and the token in no file here", () => {
    const secrets = [TOKEN, task.folder, home, `@${hostname()}`, "/home/someone", "/scratch/"];
    for (const [name, { commits }] of hub.repos) {
      if (name === "org/base") continue;
      for (const [file, { bytes }] of commits.flatMap(({ files }) => [...files])) {
        const found = secrets.filter((secret) => bytes.includes(secret));
        expect([name, file, found]).toEqual([name, file, []]);
      }
    }
    for (const entry of readdirSync(task.folder, { recursive: true, encoding: "utf8" })) {
      const file = join(task.folder, entry);
      if (entry.startsWith("leak") || !existsSync(file) || !statSync(file).isFile()) continue;
      expect([entry, readFileSync(file).includes(TOKEN)]).toEqual([entry, false]);
    }
  });
});

describe("a push that fails", () => {
  test("says what to do, with exit code 1 and one JSON error", async () => {
    const noToken = await push([path("run"), "me/none"], { HF_TOKEN: "" });
    expect([noToken.code, noToken.stderr]).toEqual([
      1,
      `error  me/none: cannot be pushed to without a token\n  hint: set HF_TOKEN to a token with write access: ${hub.urls.hub}/settings/tokens\n`,
    ]);
    const bad = await push([path("run"), "me/none", "--json"], { HF_TOKEN: "hf_another" });
    expect(JSON.parse(bad.stdout).error).toMatchObject({
      code: "E_HUB",
      message: `me/none: ${hub.urls.hub} does not accept the token`,
    });
    hub.faults.status = (step) => (step === "commit" ? 403 : undefined);
    const forbidden = await push([path("run"), "me/none"]);
    hub.faults.status = () => undefined;
    expect([forbidden.code, forbidden.stderr.split("\n")[0]]).toEqual([
      1,
      "error  me/none: the token may not write there",
    ]);
    expect(ownFiles("me/none")).toEqual([]);
  });

  test("a second failing upload is no crash", async () => {
    hub.faults.largeFrom = 1;
    hub.faults.partBytes = 512;
    hub.faults.status = (step) => (step === "upload" ? 403 : undefined);
    // Bytes that are not stored yet.
    const folder = path("failing");
    cpSync(path("run", "adapter"), folder, { recursive: true });
    writeFileSync(join(folder, "README.md"), "# Other bytes\n");
    writeFileSync(join(folder, "tokenizer_config.json"), "{}");
    const { code, stderr } = await push([folder, "me/failing"]);
    hub.faults.status = () => undefined;
    hub.faults.largeFrom = 1000;
    hub.faults.partBytes = Number.POSITIVE_INFINITY;
    expect([code, stderr.split("\n").filter((line) => line.startsWith("error"))]).toEqual([
      1,
      ["error  me/failing: the storage of large files answered with status 403"],
    ]);
  });

  test("flags that contradict each other, and arguments that are missing", async () => {
    const both = await push([path("run"), "me/x", "--private", "--public"]);
    expect(both.stderr).toBe("error  --private and --public exclude each other: give one\n");
    expect((await push([path("run")])).stderr).toContain("no repository given");
    expect((await push([path("run"), "name"])).stderr).toContain("give org/name");
  });
});

describe("pull", () => {
  test("prints the folder in the cache, and needs no hub after that", async () => {
    const there = elsewhere("fourth");
    const { code, stdout, stderr } = await run(["pull", "me/rte"], there);
    expect([code, stderr]).toEqual([0, ""]);
    const dir = stdout.trimEnd();
    expect(dir.startsWith(path("fourth"))).toBe(true);
    expect(readdirSync(dir).toSorted()).toEqual([
      "README.md",
      "adalora.json",
      "adapter_config.json",
      "adapter_model.safetensors",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const again = await run(["pull", "me/rte", "--json"], { ...there, HF_HUB_OFFLINE: "1" });
    expect(JSON.parse(again.stdout)).toEqual({
      dir,
      commit: hub.head("me/rte")?.oid,
      source: "cache",
    });
    const commit = hub.repos.get("me/rte")?.commits.at(-1)?.oid ?? "";
    const pinned = await run(
      ["pull", "me/rte", "--revision", commit, "--only", "tokenizer"],
      there,
    );
    expect(pinned.stdout).toBe(stdout);
    const twice = await run(["pull", "me/rte@main", "--revision", "main"], there);
    expect([twice.code, twice.stderr]).toEqual([1, expect.stringContaining("exclude each other")]);
  });
});
