import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { resolveAdapter } from "../../../core/io/hub.ts";
import { COMMIT, large, text } from "./fake-hub.ts";
import { hubWithCache, MODEL, offline } from "./hub-cache.ts";
import { rejection } from "./scratch.ts";

const setUp = hubWithCache();

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
