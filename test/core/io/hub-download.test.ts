import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { resolveModel } from "../../../core/io/hub.ts";
import { hashOf } from "./fake-hub.ts";
import { CONFIG, hubWithCache, MODEL, WEIGHTS } from "./hub-cache.ts";
import { rejection } from "./scratch.ts";

const setUp = hubWithCache();

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
