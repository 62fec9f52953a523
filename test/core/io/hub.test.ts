import { expect, test } from "bun:test";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import {
  type HubOptions,
  resolveAdapter,
  resolveDataset,
  resolveModel,
} from "../../../core/io/hub.ts";
import { hubSettings } from "../../../core/io/hub-settings.ts";
import { COMMIT, fakeHub, hashOf, large, text } from "./fake-hub.ts";
import { failure, rejection, scratchFolder } from "./scratch.ts";

const root = scratchFolder();
let folderCount = 0;

const CONFIG = text('{"model_type":"deberta-v2"}');
const SPM = text("sentencepiece");
const WEIGHTS = large(Buffer.alloc(300_000, "weights!"));
const MODEL = {
  "README.md": text("# not needed"),
  "config.json": CONFIG,
  "spm.model": SPM,
  "pytorch_model.bin": WEIGHTS,
  "tf_model.h5": large("not needed"),
};

/** A hub with a model, and a separate cache to load it into. */
function setUp(
  files: Parameters<typeof fakeHub>[2] = MODEL,
  kind: "models" | "datasets" = "models",
) {
  const hub = fakeHub(kind, "org/name", files);
  const home = join(root, String(++folderCount));
  const env = { HF_HOME: home, HF_ENDPOINT: `${hub.url}/` };
  const options: HubOptions = { env, retryDelay: 1 };
  const repo = join(home, "hub", `${kind}--org--name`);
  return {
    hub,
    home,
    env,
    options,
    repo,
    snapshot: join(repo, "snapshots", COMMIT),
    blobs: join(repo, "blobs"),
  };
}

const offline = ({ env }: { env: Record<string, string> }): HubOptions => ({
  env: { ...env, HF_HUB_OFFLINE: "1" },
});

test("a model is put into the standard cache: blobs by hash, a ref, links in the snapshot", async () => {
  const s = setUp();
  const resolved = await resolveModel("org/name", s.options);
  expect(resolved).toEqual({ dir: s.snapshot, source: "hub", commit: COMMIT, warning: undefined });
  expect(readdirSync(s.snapshot).toSorted()).toEqual([
    "config.json",
    "pytorch_model.bin",
    "spm.model",
  ]);
  expect(readFileSync(join(s.repo, "refs/main"), "utf8")).toBe(COMMIT);
  expect(readlinkSync(join(s.snapshot, "config.json"))).toBe(`../../blobs/${hashOf(CONFIG)}`);
  expect(readFileSync(join(s.snapshot, "pytorch_model.bin")).equals(WEIGHTS.bytes)).toBe(true);
  expect(readdirSync(s.blobs).toSorted()).toEqual([CONFIG, SPM, WEIGHTS].map(hashOf).toSorted());
});

test("cached files are not fetched again, and a commit needs no hub at all", async () => {
  const s = setUp();
  await resolveModel("org/name", s.options);
  s.hub.requests.length = 0;
  await resolveModel("org/name", s.options);
  expect(s.hub.requests.filter(({ path }) => path.includes("/resolve/"))).toEqual([]);
  s.hub.requests.length = 0;
  expect((await resolveModel(`org/name@${COMMIT}`, s.options)).source).toBe("cache");
  expect(s.hub.requests).toEqual([]);
  rmSync(s.home, { recursive: true });
  expect((await resolveModel(`org/name@${COMMIT}`, s.options)).source).toBe("hub");
  expect(existsSync(join(s.repo, "refs"))).toBe(false);
});

test("a new commit reuses the blobs of unchanged files", async () => {
  const s = setUp();
  await resolveModel("org/name", s.options);
  s.hub.repo.commit = "2".repeat(40);
  s.hub.requests.length = 0;
  const { dir } = await resolveModel("org/name", s.options);
  expect(dir).toEndWith("2".repeat(40));
  expect(readFileSync(join(dir, "config.json")).equals(CONFIG.bytes)).toBe(true);
  expect(s.hub.requests.filter(({ path }) => path.includes("/resolve/"))).toEqual([]);
  expect(readFileSync(join(s.repo, "refs/main"), "utf8")).toBe("2".repeat(40));
});

test("a local folder takes precedence over a repository, and a path is never looked up", async () => {
  const s = setUp();
  const cwd = process.cwd();
  mkdirSync(join(s.home, "org/name"), { recursive: true });
  process.chdir(s.home);
  try {
    expect((await resolveModel("org/name", s.options)).source).toBe("folder");
  } finally {
    process.chdir(cwd);
  }
  expect((await rejection(resolveModel("./org/none", s.options))).message).toBe(
    "./org/none: no such folder",
  );
  expect(s.hub.requests).toEqual([]);
});

test("safetensors are preferred, and the shards of an index are included", async () => {
  const index = {
    weight_map: { a: "model-00001-of-00002.safetensors", b: "model-00002-of-00002.safetensors" },
  };
  const s = setUp({
    ...MODEL,
    "model.safetensors.index.json": text(JSON.stringify(index)),
    "model-00001-of-00002.safetensors": large("one"),
    "model-00002-of-00002.safetensors": large("two"),
  });
  const { dir } = await resolveModel("org/name", s.options);
  expect(readdirSync(dir)).toContain("model-00002-of-00002.safetensors");
  expect(readdirSync(dir)).not.toContain("pytorch_model.bin");
  rmSync(join(dir, "model-00002-of-00002.safetensors"));
  const error = await rejection(resolveModel("org/name", offline(s)));
  expect(error.message).toBe(
    `org/name in the cache: model.safetensors.index.json names "model-00002-of-00002.safetensors", which is missing`,
  );
});

test("an index cannot name a file outside the repository, nor a missing one", async () => {
  for (const [shard, message] of [
    ["../../../evil", "must name a file in the same folder"],
    ["gone.safetensors", `names "gone.safetensors", which is missing`],
  ] as const) {
    const index = text(JSON.stringify({ weight_map: { a: shard } }));
    const s = setUp({ "config.json": CONFIG, "model.safetensors.index.json": index });
    expect((await rejection(resolveModel("org/name", s.options))).message).toContain(message);
    expect(existsSync(join(s.repo, "refs/main"))).toBe(false);
  }
});

test("a listed path outside the repository, or a damaged list, is refused", async () => {
  const s = setUp();
  for (const [path, file, message] of [
    ["../../evil", CONFIG, `a path is outside the repository: "../../evil"`],
    ["/etc/evil", CONFIG, `a path is outside the repository: "/etc/evil"`],
  ] as const) {
    s.hub.repo.files = { ...MODEL, [path]: file };
    expect((await rejection(resolveModel("org/name", s.options))).message).toBe(
      `org/name: ${message}`,
    );
  }
  s.hub.repo.files = MODEL;
  s.hub.repo.commit = "../../evil";
  expect((await rejection(resolveModel("org/name", s.options))).message).toContain(
    `returned no commit: "../../evil"`,
  );
  expect(existsSync(s.home)).toBe(false);
});

test("the token is sent to the hub only, not to the file host, and never written to disk", async () => {
  const s = setUp();
  const token = "secret-token-of-a-mirror";
  s.hub.faults.token = token;
  const options = { ...s.options, env: { ...s.env, HF_TOKEN: ` ${token}\n` } };
  await resolveModel("org/name", options);
  expect(
    new Set(s.hub.requests.map(({ host, authorization }) => `${host} ${authorization}`)),
  ).toEqual(new Set([`hub Bearer ${token}`, "files null"]));
  const written = readdirSync(s.home, { recursive: true, encoding: "utf8" })
    .filter((path) => lstatSync(join(s.home, path)).isFile())
    .map((path) => readFileSync(join(s.home, path), "latin1"));
  expect(written.some((content) => content.includes(token))).toBe(false);
});

test("the token is read from its file, and an invalid one is refused without showing it", () => {
  const home = join(root, String(++folderCount));
  mkdirSync(home);
  expect(hubSettings({ HF_HOME: home }).token).toBeUndefined();
  writeFileSync(join(home, "token"), "from-file\n");
  expect(hubSettings({ HF_HOME: home }).token).toBe("from-file");
  expect(hubSettings({ HF_HOME: home, HF_TOKEN: "given" }).token).toBe("given");
  const { message } = failure(() => hubSettings({ HF_HOME: home, HF_TOKEN: "my\r\nsecret" }));
  expect(message).toBe("HF_TOKEN: is not a token: it holds spaces or control characters");
});

test("the cache folder follows the variables of huggingface_hub", () => {
  const at = (env: Record<string, string>) => hubSettings(env).cache;
  expect(at({})).toBe(join(homedir(), ".cache/huggingface/hub"));
  expect(at({ XDG_CACHE_HOME: "/x" })).toBe("/x/huggingface/hub");
  expect(at({ XDG_CACHE_HOME: "/x", HF_HOME: "/h" })).toBe("/h/hub");
  expect(at({ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/o" })).toBe("/o");
  expect(at({ HF_HUB_CACHE: "~/c", HUGGINGFACE_HUB_CACHE: "/o" })).toBe(join(homedir(), "c"));
  expect(at({ HF_HOME: "~/c", HOME: "/me" })).toBe("/me/c/hub");
  expect(failure(() => hubSettings({ HF_ENDPOINT: "ftp://x" })).message).toContain(
    "must be an http or https URL",
  );
  expect(failure(() => hubSettings({ HF_HUB_DOWNLOAD_TIMEOUT: "soon" })).message).toContain(
    "must be a number of seconds above 0",
  );
});

test("HF_HUB_OFFLINE uses only the cache, with a hint when that is incomplete", async () => {
  const s = setUp();
  const before = await rejection(resolveModel("org/name", offline(s)));
  expect(before.message).toBe("org/name: is not in the cache");
  expect(before.hint).toBe("run once without HF_HUB_OFFLINE, or use a local folder");
  await resolveModel("org/name", s.options);
  s.hub.requests.length = 0;
  expect((await resolveModel("org/name", offline(s))).dir).toBe(s.snapshot);
  rmSync(join(s.snapshot, "pytorch_model.bin"));
  expect((await rejection(resolveModel("org/name", offline(s)))).message).toStartWith(
    "org/name in the cache: has none of model.safetensors, ",
  );
  expect(s.hub.requests).toEqual([]);
});

test("without a network a complete cached copy is used, with a warning", async () => {
  const s = setUp();
  await resolveModel("org/name", s.options);
  const away = { ...s.options, env: { ...s.env, HF_ENDPOINT: "http://127.0.0.1:1" } };
  const { source, warning } = await resolveModel("org/name", away);
  expect(source).toBe("cache");
  expect(warning).toBe(
    "org/name: cannot reach http://127.0.0.1:1: connection refused; using the copy in the cache",
  );
  rmSync(s.home, { recursive: true });
  const error = await rejection(resolveModel("org/name", away));
  expect(error.message).toBe("org/name: cannot reach http://127.0.0.1:1: connection refused");
  expect(error.hint).toBe("check the network, set HF_ENDPOINT to a mirror, or use a local folder");
});

test("an interrupted download is resumed where it ended, in the same run and in the next", async () => {
  const s = setUp();
  let breaks = 2;
  s.hub.faults.breakAfter = (path) =>
    path === "pytorch_model.bin" && breaks-- > 0 ? 100_000 : undefined;
  await resolveModel("org/name", s.options);
  const ranges = s.hub.requests.filter(({ host }) => host === "files").map(({ range }) => range);
  expect(ranges).toEqual([null, "bytes=100000-", "bytes=200000-"]);

  const t = setUp();
  t.hub.faults.breakAfter = (path) => (path === "pytorch_model.bin" ? 0 : undefined);
  mkdirSync(t.blobs, { recursive: true });
  writeFileSync(join(t.blobs, `${hashOf(WEIGHTS)}.incomplete`), WEIGHTS.bytes.subarray(0, 1000));
  const error = await rejection(resolveModel("org/name", t.options));
  expect(error.message).toBe(`org/name: cannot reach ${t.hub.url}: connection closed`);
  expect(existsSync(t.snapshot) && readdirSync(t.snapshot)).not.toContain("pytorch_model.bin");
  expect(existsSync(join(t.repo, "refs/main"))).toBe(false);
  t.hub.faults.breakAfter = () => undefined;
  t.hub.requests.length = 0;
  const { dir } = await resolveModel("org/name", t.options);
  expect(t.hub.requests.filter(({ host }) => host === "files").map(({ range }) => range)).toEqual([
    "bytes=1000-",
  ]);
  expect(readFileSync(join(dir, "pytorch_model.bin")).equals(WEIGHTS.bytes)).toBe(true);
  expect(readdirSync(t.blobs).filter((name) => name.includes("incomplete"))).toEqual([]);
});

test("a body that ends early without an error is resumed too", async () => {
  const s = setUp();
  s.hub.faults.quiet = true;
  s.hub.faults.breakAfter = (path) => (path === "pytorch_model.bin" ? 120_000 : undefined);
  const { dir } = await resolveModel("org/name", s.options);
  expect(readFileSync(join(dir, "pytorch_model.bin")).equals(WEIGHTS.bytes)).toBe(true);
});

test("useless responses end the download after some attempts", async () => {
  const s = setUp();
  s.hub.faults.uselessRange = true;
  const error = await rejection(resolveModel("org/name", s.options));
  expect(error.message).toBe(
    "org/name: config.json: 4 attempts in a row received nothing after byte 0 of 27",
  );
  expect(error.hint).toBe("run again to continue the download");
});

test("a dead process's partial file is resumed; a living process's is left alone", async () => {
  const name = hashOf(WEIGHTS);
  for (const [pid, range] of [
    [1, null],
    [2 ** 22 + 1, "bytes=5000-"],
  ] as const) {
    const s = setUp();
    mkdirSync(s.blobs, { recursive: true });
    const part = `${name}.${pid}.incomplete`;
    writeFileSync(join(s.blobs, part), WEIGHTS.bytes.subarray(0, 5000));
    await resolveModel("org/name", s.options);
    expect(s.hub.requests.find(({ host }) => host === "files")?.range).toBe(range);
    expect(existsSync(join(s.blobs, part))).toBe(range === null);
  }
});

test("a partial file that is wrong, too long, or cannot be resumed is fetched from the start", async () => {
  for (const [leftover, ignoreRanges, ranges] of [
    [Buffer.alloc(1000, "?"), false, ["bytes=1000-", null]],
    [Buffer.alloc(300_000, "?"), false, [null]],
    [Buffer.alloc(400_000, "?"), false, [null]],
    [WEIGHTS.bytes.subarray(0, 1000), true, ["bytes=1000-"]],
  ] as const) {
    const s = setUp();
    s.hub.faults.ignoreRanges = ignoreRanges;
    mkdirSync(s.blobs, { recursive: true });
    writeFileSync(join(s.blobs, `${hashOf(WEIGHTS)}.incomplete`), leftover);
    const { dir } = await resolveModel("org/name", s.options);
    expect(readFileSync(join(dir, "pytorch_model.bin")).equals(WEIGHTS.bytes)).toBe(true);
    expect(s.hub.requests.filter(({ host }) => host === "files").map(({ range }) => range)).toEqual(
      [...ranges],
    );
  }
});

test("content that does not match its checksum is never kept, large or small", async () => {
  for (const file of ["pytorch_model.bin", "config.json"] as const) {
    const s = setUp();
    s.hub.faults.damage = (path) => path === file;
    const error = await rejection(resolveModel("org/name", s.options));
    expect(error.message).toBe(
      `org/name: ${file}: does not match its checksum ${hashOf(MODEL[file])}`,
    );
    expect(existsSync(join(s.blobs, hashOf(MODEL[file])))).toBe(false);
    expect(readdirSync(s.blobs).filter((name) => name.includes("incomplete"))).toEqual([]);
  }
});

test("a stalled hub is given up after the configured time", async () => {
  const s = setUp();
  s.hub.faults.stall = true;
  const options = { ...s.options, env: { ...s.env, HF_HUB_DOWNLOAD_TIMEOUT: "0.05" } };
  const error = await rejection(resolveModel("org/name", options));
  expect(error.message).toBe(`org/name: cannot reach ${s.hub.url}: no answer in time`);
});

test("an interrupt stops a download and keeps what arrived", async () => {
  const s = setUp();
  s.hub.faults.stall = true;
  const stop = new AbortController();
  const onProgress = () => stop.abort(new Error("interrupted"));
  const run = resolveModel("org/name", { ...s.options, signal: stop.signal, onProgress });
  await expect(run).rejects.toThrow("interrupted");
  expect(readdirSync(s.blobs)).toEqual([`${hashOf(CONFIG)}.incomplete`]);
});

test("progress counts up to the size of each file", async () => {
  const s = setUp();
  const last = new Map<string, string>();
  const onProgress = (p: { file: string; received: number; total: number }) => {
    last.set(p.file, `${p.received}/${p.total}`);
  };
  await resolveModel("org/name", { ...s.options, onProgress });
  expect(Object.fromEntries(last)).toEqual({
    "config.json": "27/27",
    "spm.model": "13/13",
    "pytorch_model.bin": "300000/300000",
  });
});

test("transient failures are retried, lasting ones are reported", async () => {
  const s = setUp();
  let failures = 3;
  s.hub.faults.status = () => (failures-- > 0 ? 503 : undefined);
  expect((await resolveModel("org/name", s.options)).source).toBe("hub");

  const t = setUp();
  t.hub.faults.status = () => 503;
  const error = await rejection(resolveModel("org/name", t.options));
  expect(error.message).toBe(`org/name: ${t.hub.url} answered with status 503`);
  expect(t.hub.requests).toHaveLength(4);
});

test("a refusal by the hub is explained", async () => {
  const s = setUp();
  const missing = await rejection(resolveModel("org/nome", s.options));
  expect(missing.message).toBe(`org/nome: no such model at ${s.hub.url}, or it is private`);
  expect(missing.hint).toBe(
    "check the spelling; for a private one, set HF_TOKEN to a token with read access",
  );
  const revision = await rejection(resolveModel("org/name@v9", s.options));
  expect(revision.message).toBe(`org/name@v9: has no revision "v9"`);
  s.hub.faults.status = () => 403;
  const gated = await rejection(resolveModel("org/name", s.options));
  expect(gated.message).toBe("org/name: is gated: its terms must be accepted first");
  expect(gated.hint).toBe(`accept the terms at ${s.hub.url}/org/name and set HF_TOKEN`);
  s.hub.faults.status = () => 200;
  expect((await rejection(resolveModel("org/name", s.options))).message).toContain(
    "sent an unexpected answer",
  );
});

test("a repository without the needed files is reported with its files", async () => {
  const noWeights = setUp({ "config.json": CONFIG, "README.md": text("") });
  expect((await rejection(resolveModel("org/name", noWeights.options))).message).toBe(
    "org/name: has none of model.safetensors, model.safetensors.index.json, pytorch_model.bin, pytorch_model.bin.index.json: found config.json, README.md",
  );
  const noConfig = setUp({ "model.safetensors": WEIGHTS });
  expect((await rejection(resolveModel("org/name", noConfig.options))).message).toBe(
    "org/name: has none of config.json: found model.safetensors",
  );
});

test("malformed names and revisions are refused without a request", async () => {
  const s = setUp();
  for (const name of [
    "a/b/c",
    "a b",
    "org/..",
    "org/na--me",
    "",
    "-x/y",
    "org/name@",
    "org/name@../x",
    "org/name@a?b",
  ]) {
    expect((await rejection(resolveModel(name, s.options))).code).toBe("E_HUB");
  }
  expect(s.hub.requests).toEqual([]);
});

test("one of several adapters in a repository is named by its path", async () => {
  const s = setUp({
    "README.md": text("# two adapters"),
    "first/adapter_config.json": text("{}"),
    "first/adapter_model.bin": large("one"),
    "more/second/adapter_config.json": text('{"r":2}'),
    "more/second/adapter_model.safetensors": large("two"),
  });
  const { dir } = await resolveAdapter("org/name/more/second", s.options);
  expect(dir).toBe(join(s.snapshot, "more/second"));
  expect(readdirSync(dir).toSorted()).toEqual(["adapter_config.json", "adapter_model.safetensors"]);
  expect(readdirSync(s.snapshot)).toEqual(["more"]);
  const pinned = await resolveAdapter(`org/name/first@${COMMIT}`, s.options);
  expect(readFileSync(join(pinned.dir, "adapter_model.bin"), "utf8")).toBe("one");
  const cached = await resolveAdapter("org/name/more/second", offline(s));
  expect([cached.dir, cached.source]).toEqual([dir, "cache"]);

  const several = await rejection(resolveAdapter("org/name", s.options));
  expect(several.message).toBe("org/name: has no adapter in its root, but in first, more/second");
  expect(several.hint).toBe("name one: org/name/first");
  const wrong = await rejection(resolveAdapter("org/name/third@main", s.options));
  expect(wrong.message).toBe("org/name: has no adapter in third, but in first, more/second");
  const requests = s.hub.requests.length;
  for (const name of [
    "org/name/..",
    "org/name/a/../../x",
    "org/name/a//b",
    "org/name/.",
    "a/b/c\\d",
  ]) {
    expect((await rejection(resolveAdapter(name, s.options))).message).toContain(
      "is no folder of a repository",
    );
  }
  expect(s.hub.requests.length).toBe(requests);
});

test("an adapter is fetched with its configuration, weights, facts and tokenizer only", async () => {
  const s = setUp({
    ...MODEL,
    "README.md": text("# card"),
    "adalora.json": text("{}"),
    "tokenizer.json": text("{}"),
    "adapter_config.json": text("{}"),
    "adapter_model.safetensors": large("adapter"),
  });
  const { dir } = await resolveAdapter("org/name", s.options);
  expect(readdirSync(dir).toSorted()).toEqual([
    "adalora.json",
    "adapter_config.json",
    "adapter_model.safetensors",
    "spm.model",
    "tokenizer.json",
  ]);
});

const GLUE = {
  "README.md": text(""),
  "cola/train-00000-of-00001.parquet": large("cola"),
  "mnli/train-00000-of-00002.parquet": large("m0"),
  "mnli/train-00001-of-00002.parquet": large("m1"),
  "mnli/validation_matched-00000-of-00001.parquet": large("mm"),
};

test("one configuration of a dataset: its splits, each with its files in order", async () => {
  const s = setUp(GLUE, "datasets");
  const { dir, splits } = await resolveDataset("org/name", "mnli", s.options);
  expect(dir).toBe(s.snapshot);
  expect(Object.fromEntries(splits)).toEqual({
    train: [0, 1].map((i) => join(dir, `mnli/train-0000${i}-of-00002.parquet`)),
    validation_matched: [join(dir, "mnli/validation_matched-00000-of-00001.parquet")],
  });
  expect(existsSync(join(dir, "cola"))).toBe(false);
  expect(readlinkSync(splits.get("train")![0]!)).toBe(
    `../../../blobs/${hashOf(GLUE["mnli/train-00000-of-00002.parquet"])}`,
  );
  expect((await resolveDataset(dir, "mnli", s.options)).splits).toEqual(splits);
  expect((await resolveDataset("org/name", "mnli", offline(s))).splits).toEqual(splits);
});

test("a dataset's layouts: one configuration, plain names, and the hub's automatic conversion", async () => {
  for (const [files, config, expected] of [
    [["plain_text/train-00000-of-00001.parquet"], undefined, "train"],
    [["data/train-00000-of-00001.parquet", "other/x.parquet"], undefined, "train"],
    [["data/validation.parquet"], "default", "validation"],
    [["3.0.0/test-00000-of-00001.parquet", "2.0.0/test-00000-of-00001.parquet"], "3.0.0", "test"],
    [["default/train/0000.parquet", "default/train/0001.parquet"], undefined, "train"],
    [["rte/partial-train/0000.parquet", "cola/train/0000.parquet"], "rte", "train"],
  ] as const) {
    const s = setUp(Object.fromEntries(files.map((file) => [file, large(file)])), "datasets");
    const { splits } = await resolveDataset("org/name@refs/convert/parquet", config, s.options);
    expect([...splits.keys()]).toEqual([expected]);
    expect(readFileSync(join(s.repo, "refs/refs/convert/parquet"), "utf8")).toBe(COMMIT);
  }
});

test("a missing, unnamed or incomplete configuration is reported", async () => {
  const s = setUp(GLUE, "datasets");
  const message = async (config?: string) =>
    (await rejection(resolveDataset("org/name", config, s.options))).message;
  expect(await message("rte")).toBe(`org/name: has no configuration "rte": found cola, mnli`);
  expect(await message()).toBe("org/name: has several configurations: found cola, mnli");
  const { "mnli/train-00000-of-00002.parquet": _lost, ...rest } = GLUE;
  s.hub.repo.files = rest;
  expect(await message("mnli")).toBe(`org/name: has 1 of the 2 files of split "train"`);
  s.hub.repo.files = { "README.md": text("") };
  const error = await rejection(resolveDataset("org/name", "rte", s.options));
  expect(error.message).toBe("org/name: has no parquet files");
  expect(error.hint).toBe("try the hub's automatic conversion: org/name@refs/convert/parquet");
});
