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
import { resolveModel } from "../../../core/io/hub.ts";
import { hubSettings } from "../../../core/io/hub-settings.ts";
import { COMMIT, hashOf, large, text } from "./fake-hub.ts";
import { CONFIG, hubWithCache, MODEL, offline, SPM, WEIGHTS } from "./hub-cache.ts";
import { failure, rejection } from "./scratch.ts";

const setUp = hubWithCache();

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
  const { home } = setUp();
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
