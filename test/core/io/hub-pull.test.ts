import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type HubOptions, resolveModel } from "../../../core/io/hub.ts";
import { pullRepo } from "../../../core/io/hub-pull.ts";
import { COMMIT, fakeHub, large, text } from "./fake-hub.ts";
import { rejection, scratchFolder } from "./scratch.ts";

const root = scratchFolder();
let count = 0;

const MODEL = {
  "README.md": text("# a model"),
  "config.json": text('{"model_type":"deberta-v2"}'),
  "spm.model": text("sentencepiece"),
  "tokenizer_config.json": text("{}"),
  "model.safetensors": large("weights"),
  "run/log.jsonl": text("{}"),
};
const ADAPTER = {
  "README.md": text("# an adapter"),
  "adalora.json": text("{}"),
  "adapter_config.json": text("{}"),
  "adapter_model.safetensors": large("adapter"),
  "tokenizer.json": text("{}"),
};

function setUp(files: Parameters<typeof fakeHub>[2]) {
  const hub = fakeHub("models", "org/name", files);
  const env = { HF_HOME: join(root, String(++count)), HF_ENDPOINT: hub.url };
  const options: HubOptions = { env, retryDelay: 1 };
  return { hub, options, offline: { env: { ...env, HF_HUB_OFFLINE: "1" } } };
}

const names = (dir: string) => readdirSync(dir).toSorted();

test("a model is pulled with all that is read of it, and is then there offline", async () => {
  const { options, offline } = setUp(MODEL);
  const { dir, commit, source } = await pullRepo("org/name", null, options);
  expect([commit, source]).toEqual([COMMIT, "hub"]);
  expect(names(dir)).toEqual(
    Object.keys(MODEL)
      .filter((name) => !name.includes("/"))
      .toSorted(),
  );
  expect(await pullRepo("org/name", null, offline)).toMatchObject({ dir, source: "cache" });
});

test("a part is pulled alone", async () => {
  const parts = [
    ["tokenizer", MODEL, ["config.json", "spm.model", "tokenizer_config.json"]],
    ["weights", MODEL, ["config.json", "model.safetensors"]],
    ["tokenizer", ADAPTER, ["tokenizer.json"]],
    ["weights", ADAPTER, ["adapter_config.json", "adapter_model.safetensors"]],
    ["adapter", ADAPTER, Object.keys(ADAPTER).filter((name) => name !== "README.md")],
    [null, ADAPTER, Object.keys(ADAPTER)],
  ] as const;
  for (const [only, files, expected] of parts) {
    const { options } = setUp(files);
    const { dir } = await pullRepo("org/name", only, options);
    expect([only, names(dir)]).toEqual([only, [...expected].toSorted()]);
  }
});

test("a commit whose weights were pulled alone gets its tokenizer where the model is used", async () => {
  const { options } = setUp(MODEL);
  await pullRepo(`org/name@${COMMIT}`, "weights", options);
  const { dir } = await resolveModel(`org/name@${COMMIT}`, options);
  expect(names(dir)).toContain("spm.model");
});

test("a part that is not there is an error", async () => {
  const model = await rejection(pullRepo("org/name", "adapter", setUp(MODEL).options));
  expect(model.message).toBe("org/name: holds no adapter, but a full model");
  const { "tokenizer.json": _, ...bare } = ADAPTER;
  const tokenizer = await rejection(pullRepo("org/name", "tokenizer", setUp(bare).options));
  expect(tokenizer.message).toBe("org/name: has no tokenizer");
  const nested = { "a/adapter_config.json": text("{}"), "b/adapter_config.json": text("{}") };
  const several = await rejection(pullRepo("org/name", null, setUp(nested).options));
  expect(several.hint).toBe("name one: org/name/a");
});
