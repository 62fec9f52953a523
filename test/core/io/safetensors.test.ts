import { expect, test } from "bun:test";
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openSafetensors, writeSafetensors } from "../../../core/io/safetensors.ts";
import { duplicateKey } from "../../../core/io/json-scan.ts";
import { float32Tensor, type StoredTensor } from "../../../core/io/stored-tensor.ts";
import { readDamaged } from "./damage.ts";
import { failure, fixture, scratchFolder } from "./scratch.ts";

const dir = scratchFolder();
const path = join(dir, "model.safetensors");

function writeRaw(header: unknown, dataBytes: number, text = JSON.stringify(header)): string {
  const json = Buffer.from(text);
  const file = Buffer.alloc(8 + json.length + dataBytes);
  file.writeBigUInt64LE(BigInt(json.length));
  json.copy(file, 8);
  writeFileSync(path, file);
  return path;
}

const entry = (dtype: string, shape: unknown, offsets: unknown) => ({
  dtype,
  shape,
  data_offsets: offsets,
});

test("rewriting a file of the safetensors library, all ten dtypes, gives the same bytes", () => {
  const { tensors, metadata } = openSafetensors(fixture("expected.safetensors"));
  expect(new Set([...tensors.values()].map((t) => t.dtype)).size).toBe(10);
  writeSafetensors(path, new Map([...tensors].toReversed()), metadata);
  expect(readFileSync(path).equals(readFileSync(fixture("expected.safetensors")))).toBe(true);
});

test("rewriting PEFT's adapters, zero-size tensors included, gives the same bytes", () => {
  for (const name of ["peft-adalora", "peft-lora", "peft-adalora-bart"]) {
    const original = fixture(`${name}/adapter_model.safetensors`);
    writeSafetensors(path, openSafetensors(original).tensors);
    expect(readFileSync(path).equals(readFileSync(original))).toBe(true);
  }
});

test("tensors are views of the values that torch saved", () => {
  const { tensors } = openSafetensors(fixture("expected.safetensors"));
  const { shape, bytes } = tensors.get("transposed")!;
  expect(shape).toEqual([6, 4]);
  const values = new Float32Array(bytes.slice().buffer);
  expect([...values.subarray(0, 5)]).toEqual([0, 0.75, 1.5, 2.25, 0.125]);
});

test("names are ordered by their UTF-8 bytes, integer-like names included", () => {
  const one = float32Tensor([1], Float32Array.of(1));
  const names = ["b", "\u{10000}", "10", "\uffff", "2", "a"];
  writeSafetensors(path, new Map(names.map((name) => [name, one])));
  const header = readFileSync(path).subarray(8).toString();
  const at = ["10", "2", "a", "b", "\uffff", "\u{10000}"].map((name) =>
    header.indexOf(`"${name}":`),
  );
  expect(at).toEqual(at.toSorted((a, b) => a - b));
  expect(at[0]).toBeGreaterThan(0);
});

test("a tensor given as a function is evaluated when it is written", () => {
  const calls: string[] = [];
  const lazy = (name: string) => ({
    dtype: "U8" as const,
    shape: [1],
    bytes: () => {
      calls.push(name);
      return Uint8Array.of(calls.length);
    },
  });
  writeSafetensors(
    path,
    new Map([
      ["b", lazy("b")],
      ["a", lazy("a")],
    ]),
  );
  expect(calls).toEqual(["a", "b"]);
  expect(openSafetensors(path).tensors.get("b")?.bytes[0]).toBe(2);
});

test("a write that fails leaves the old file alone", () => {
  writeSafetensors(path, new Map([["w", float32Tensor([1], Float32Array.of(7))]]));
  const bad = { dtype: "F32" as const, shape: [2], bytes: new Uint8Array(4) };
  expect(() => writeSafetensors(path, new Map([["w", bad]]))).toThrow(/was given 4 bytes/);
  expect(openSafetensors(path).tensors.get("w")?.bytes.length).toBe(4);
});

const BAD_HEADERS: readonly [reason: RegExp, header: unknown, dataBytes: number][] = [
  [/must be a JSON object/, [1], 0],
  [/"w": must be an object/, { w: 3 }, 0],
  [/dtype must be one of .*, got "F31"/, { w: entry("F31", [1], [0, 4]) }, 4],
  [/dtype must be one of .*, got "toString"/, { w: entry("toString", [1], [0, 4]) }, 4],
  [/shape must be a list of sizes, got \[-1\]/, { w: entry("F32", [-1], [0, 4]) }, 4],
  [/shape must be a list of sizes, got \[1.5\]/, { w: entry("F32", [1.5], [0, 4]) }, 4],
  [/data_offsets must be/, { w: entry("F32", [1], [4, 0]) }, 4],
  [/data_offsets must be/, { w: entry("F32", [1], [0, 4, 8]) }, 4],
  [/F32 \[2\] needs 8 bytes, but its data_offsets span 4/, { w: entry("F32", [2], [0, 4]) }, 4],
  [/needs .* bytes/, { w: entry("F32", [2 ** 40, 2 ** 40, 2 ** 40], [0, 4]) }, 4],
  [
    /is truncated: its header describes 8 bytes of data, found 4/,
    { w: entry("F32", [2], [0, 8]) },
    4,
  ],
  [/belong to no tensor/, { w: entry("F32", [1], [0, 4]) }, 8],
  [/"b": overlaps/, { a: entry("F32", [1], [0, 4]), b: entry("F32", [1], [2, 6]) }, 6],
  [/"b": leaves a gap/, { a: entry("F32", [1], [0, 4]), b: entry("F32", [1], [6, 10]) }, 10],
  [/__metadata__ "step" must be a string/, { __metadata__: { step: 3 } }, 0],
];

for (const [reason, header, dataBytes] of BAD_HEADERS) {
  test(`a header is refused when it ${JSON.stringify(header).slice(0, 70)}`, () => {
    const { message } = failure(() => openSafetensors(writeRaw(header, dataBytes)));
    expect(message).toMatch(reason);
    expect(message).toStartWith(path);
  });
}

test("a duplicate key is refused, at any depth", () => {
  const one = `{"dtype":"U8","shape":[1],"data_offsets":[0,1]}`;
  const twice = writeRaw(undefined, 1, `{"w":${one},"\\u0077":${one}}`);
  expect(failure(() => openSafetensors(twice)).message).toContain(`has the key "w" twice`);
  expect(duplicateKey(`{"a":{"x":1,"x":2}}`)).toBe("x");
  expect(duplicateKey(`{"a":{"x":"a:"},"b":{"x":"a\\":"},"x":{}}`)).toBeUndefined();
});

test("a duplicate key of any length is found", () => {
  const key = "k".repeat(20_000_000);
  const json = `{"${key}":1,"${key}":2}`;
  expect(duplicateKey(json)?.length).toBe(key.length);
  expect(failure(() => openSafetensors(writeRaw(undefined, 0, json))).message.length).toBeLessThan(
    400,
  );
  expect(duplicateKey(String.raw`{"a\"b":1,"a\u0022b":2}`)).toBe('a"b');
});

test("no message repeats a long name, dtype, shape or text of the header", () => {
  const long = "x".repeat(1_000_000);
  const sizes = Array.from({ length: 1_000_000 }, () => 2);
  const headers = [
    { [long]: 1 },
    { w: entry(long, [], [0, 0]) },
    { w: entry("F32", sizes, [0, 0]) },
    { w: entry("F32", [long], [0, 0]) },
    { w: entry("F32", [], sizes) },
    { __metadata__: { [long]: sizes } },
  ];
  for (const header of headers) {
    const { message } = failure(() => openSafetensors(writeRaw(header, 0)));
    expect(message.length).toBeLessThan(400);
  }
});

test("a size of 0 beside sizes that overflow is an empty tensor", () => {
  const huge = [...Array.from({ length: 40 }, () => 2 ** 52), 0];
  const { tensors } = openSafetensors(writeRaw({ w: entry("F32", huge, [0, 0]) }, 0));
  expect(tensors.get("w")?.bytes.length).toBe(0);
});

test("a file of another format is recognised", () => {
  const cases: readonly [content: string, message: RegExp, hint: string][] = [
    ["", /too short .* 0 bytes/, "this is an empty file"],
    [
      "version https://git-lfs.github.com/spec/v1\n",
      /not a safetensors file/,
      "this is a Git LFS pointer",
    ],
    ["<!DOCTYPE html><html><body>404", /not a safetensors file/, "this is an HTML page"],
    ["PK\x03\x04\0\0\0\0 and more", /./, "this is a zip archive"],
  ];
  for (const [content, message, hint] of cases) {
    writeFileSync(path, content);
    const error = failure(() => openSafetensors(path));
    expect(error.message).toMatch(message);
    expect(error.hint).toStartWith(hint);
  }
  expect(failure(() => openSafetensors(join(dir, "none"))).message).toEndWith(
    "none: does not exist",
  );
  expect(failure(() => openSafetensors(dir)).message).toContain("is a folder, not a file");
});

test.skipIf(process.getuid?.() === 0)(
  "a file that may only be read is read, though it cannot be mapped (root may always write: skipped)",
  () => {
    const readOnly = join(dir, "read-only.safetensors");
    copyFileSync(fixture("expected.safetensors"), readOnly);
    chmodSync(readOnly, 0o444);
    expect(openSafetensors(readOnly)).toEqual(openSafetensors(fixture("expected.safetensors")));
  },
);

test("a deeply nested header is refused", () => {
  const deep = writeRaw(undefined, 0, `{"w":${"[".repeat(200_000)}`);
  expect(failure(() => openSafetensors(deep)).message).toContain("is nested deeper than 256");
});

test("a file truncated or damaged at any byte is refused or read, never a crash", () => {
  const tensors = new Map<string, StoredTensor>([
    ["weight", float32Tensor([2, 2], Float32Array.of(1, 2, 3, 4))],
    ["empty", { dtype: "I64", shape: [0, 3], bytes: new Uint8Array(0) }],
  ]);
  writeSafetensors(path, tensors);
  const refused = readDamaged(join(dir, "damaged"), readFileSync(path), openSafetensors);
  expect(refused).toBeGreaterThan(100);
});
