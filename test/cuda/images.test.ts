import { afterAll, describe, expect, test } from "bun:test";
import { dlopen } from "bun:ffi";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundleWorker } from "../../ffi/cuda/bundle-worker.ts";
import { openWorker } from "../../ffi/cuda/compile.ts";
import { compiledImages } from "../../ffi/cuda/images.ts";
import { NVRTC_SYMBOLS, openNvrtc, type Source, type Target } from "../../ffi/cuda/nvrtc.ts";
import { buildFakeNvrtc, hasCompiler } from "./emulated-libraries.ts";

const space = mkdtempSync(join(tmpdir(), "adalora images ")); // paths with spaces
afterAll(() => rmSync(space, { recursive: true, force: true }));

/** A library that stands for NVRTC; it counts what it compiles. */
function fakeNvrtc() {
  const path = join(space, "libnvrtc.so");
  if (!existsSync(path)) buildFakeNvrtc(path);
  const { symbols } = dlopen(path, {
    fake_nvrtc_counts: { args: ["ptr"], returns: "void" },
    fake_nvrtc_fail: { args: ["cstring"], returns: "void" },
  });
  return {
    path,
    counts: () => {
      const counts = new Int32Array(new ArrayBuffer(12));
      symbols.fake_nvrtc_counts(counts);
      return { compiled: counts[0]!, mostAtOnce: counts[1]!, live: counts[2]! };
    },
    /** Makes every call of a function fail; "": none. */
    fail: (name: string) => symbols.fake_nvrtc_fail(name),
  };
}

const headers = new Map([["some.h", ""]]);
const source = (name: string, text: string): Source => ({ name: `${name}.cu`, text, headers });
const words = (image: Uint8Array) => Buffer.from(image).toString().replace("\0", "");

describe.skipIf(!hasCompiler)("kernels are compiled", () => {
  const folder = join(space, "kept");
  const sources = ["a", "b", "c"].map((name) => source(name, `${name} together`));

  test("by several Workers at once, in their order, and once only", async () => {
    const { path, counts } = fakeNvrtc();
    const compile = () => compiledImages([path], 86, { sources, folder, workers: 2 });
    const images = await compile();
    expect(images.map(({ family, image }) => [family, words(image)])).toEqual(
      ["a", "b", "c"].map((name) => [name, `${name}.cu --gpu-architecture=sm_80`]),
    );
    expect(counts()).toEqual({ compiled: 3, mostAtOnce: 2, live: 0 });
    expect(await compile()).toEqual(images);
    expect(counts().compiled).toBe(3);
  });

  test("again where the source, the target or a kept file is another", async () => {
    const { path, counts } = fakeNvrtc();
    const before = counts().compiled;
    const compile = (capability: number, ...list: Source[]) =>
      compiledImages([path], capability, { sources: list, folder, workers: 2 });
    await compile(86, source("a", "changed"));
    await compile(90, sources[0]!);
    const [damaged] = readdirSync(folder).filter((name) => name.startsWith("b-"));
    writeFileSync(join(folder, damaged!), "not an image");
    const [image] = await compile(86, sources[1]!);
    expect(words(image!.image)).toBe("b.cu --gpu-architecture=sm_80");
    expect(counts().compiled).toBe(before + 3);
  });

  test("and what no start has used for long is removed then, no sooner", async () => {
    const { path } = fakeNvrtc();
    const old = join(folder, `old-${"0".repeat(32)}`);
    writeFileSync(old, "");
    utimesSync(old, 0, 0);
    const kept = readdirSync(folder).length;
    const compile = (one: Source) => compiledImages([path], 86, { sources: [one], folder });
    await compile(sources[0]!);
    expect(readdirSync(folder)).toHaveLength(kept);
    await compile(source("a", "of a new version"));
    expect([existsSync(old), readdirSync(folder).length]).toEqual([false, kept]);
  });

  test("until one fails, whose log is the error", async () => {
    const { path } = fakeNvrtc();
    const wrong = [source("right", ""), source("wrong", "oops")];
    await expect(
      compiledImages([path], 80, { sources: wrong, folder, workers: 2 }),
    ).rejects.toThrow(
      "[nvrtcCompileProgram wrong.cu for sm_80] NVRTC_ERROR_COMPILATION\nwrong.cu(1): error: oops",
    );
    expect(readdirSync(folder).some((name) => name.startsWith("right-"))).toBe(true);
  });

  test("where the cache can be neither read nor written", async () => {
    const { path } = fakeNvrtc();
    const [some] = sources;
    const [kept] = readdirSync(folder).filter((name) => name.startsWith("c-"));
    const blocked = join(space, "blocked");
    mkdirSync(join(blocked, kept!, "not empty"), { recursive: true });
    const compile = (one: Source) =>
      compiledImages([path], 86, { sources: [one], folder: blocked, workers: 1 });
    const [image] = await compile(sources[2]!);
    expect(words(image!.image)).toBe("c.cu --gpu-architecture=sm_80");
    expect(readdirSync(blocked)).toEqual([kept!]);
    writeFileSync(join(space, "file"), "");
    await compiledImages([path], 86, { sources: [some!], folder: join(space, "file") });
  });

  test.each([
    ["fails in its own code", "throw new TypeError('oops')", "TypeError: oops"],
    ["ends", "process.exit(3)", "internal: the Worker that compiles kernels has ended"],
  ])("by a Worker that %s, which is an error", async (_, code, message) => {
    const listener = `self.addEventListener("message", () => { ${code} })`;
    const worker = openWorker(URL.createObjectURL(new Blob([listener])));
    const target = { capability: 80, kind: "ptx" } as const;
    const job = { nvrtc: "", source: source("a", ""), target, options: [] };
    await expect(worker.compile(job).finally(worker.close)).rejects.toThrow(message);
  });

  test("by the bundled Worker of a released executable", async () => {
    const { path } = fakeNvrtc();
    const code = await Bun.file(await bundleWorker(space)).text();
    const worker = openWorker(URL.createObjectURL(new Blob([code])));
    const target = { capability: 80, kind: "ptx" } as const;
    const job = { nvrtc: path, source: source("a", ""), target, options: [] };
    const { image } = await worker.compile(job).finally(worker.close);
    expect(words(image)).toBe("a.cu --gpu-architecture=compute_80");
  });

  test("or else the call that fails is named, and no program is left", () => {
    const { path, counts, fail } = fakeNvrtc();
    const compile = (text: string, kind: Target["kind"]) =>
      openNvrtc([path]).compile(source("a", text), { capability: 80, kind });
    for (const call of Object.keys(NVRTC_SYMBOLS)) {
      const before = counts().live;
      fail(call);
      try {
        const kind = call.includes("PTX") ? "ptx" : "cubin";
        expect(() => compile("", kind)).toThrow(`[${call}`);
        if (call.includes("Log")) expect(() => compile("oops", kind)).toThrow("_COMPILATION");
      } finally {
        fail("");
      }
      const left = call === "nvrtcDestroyProgram" ? 1 : 0;
      expect([call, counts().live - before]).toEqual([call, left]);
    }
  });

  test("not for a device that NVRTC does not know", async () => {
    const { path } = fakeNvrtc();
    await expect(compiledImages([path], 75, { sources, folder })).rejects.toThrow(
      "NVRTC 13.0 compiles for capability 8.0 and newer, the device has 7.5",
    );
  });
});
