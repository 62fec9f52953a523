import { expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openMapped } from "../../../core/io/mapped-file.ts";
import { openSafetensors } from "../../../core/io/safetensors.ts";
import { openTorchCheckpoint } from "../../../core/io/torch-pickle.ts";
import { readZipDirectory } from "../../../core/io/zip-directory.ts";
import { readDamaged } from "./damage.ts";
import { makeZip } from "./make-zip.ts";
import { failure, fixture, scratchFolder } from "./scratch.ts";
import { cpuTime } from "../../helpers/cpu-time.ts";

const dir = scratchFolder();
const path = join(dir, "pytorch_model.bin");

const facts = (file: string) =>
  Object.fromEntries(
    [...openTorchCheckpoint(file)].map(([name, { dtype, shape, bytes }]) => [
      name,
      { dtype, shape, bytes: Buffer.from(bytes).toString("hex") },
    ]),
  );

const expected = () =>
  Object.fromEntries(
    [...openSafetensors(fixture("expected.safetensors")).tensors].map(([name, tensor]) => [
      name,
      { ...tensor, bytes: Buffer.from(tensor.bytes).toString("hex") },
    ]),
  );

for (const name of ["zip.bin", "zip-protocol-4.bin", "legacy.bin"]) {
  test(`${name}: all dtypes, strides, shared storages and parameters as torch reads them`, () => {
    expect(facts(fixture(name))).toEqual(expected());
  });
}

test("a storage that is a view of another, as torch 0.4 wrote it", () => {
  // Elements 3 to 7 of 0..9, then offset 1 within them.
  const view = openTorchCheckpoint(fixture("legacy-view.bin")).get("view");
  expect(view?.shape).toEqual([2, 2]);
  expect([...new Float32Array(view!.bytes.slice().buffer)]).toEqual([4, 5, 6, 7]);
});

test("tensors that share a storage are views of the same bytes", () => {
  const tensors = openTorchCheckpoint(fixture("zip.bin"));
  const [whole, rows] = [tensors.get("shared")!.bytes, tensors.get("rows_1_and_2")!.bytes];
  expect(rows.buffer).toBe(whole.buffer);
  expect(rows.byteOffset - whole.byteOffset).toBe(6 * 4);
});

const REFUSED: readonly [file: string, message: RegExp, hint?: RegExp][] = [
  ["malicious-zip.bin", /malicious-zip\/data\.pkl .*refers to "posix\.system"/, /safetensors/],
  ["malicious-legacy.bin", /refers to "posix\.system"/, /safetensors/],
  ["nested.bin", /"state_dict": must be a tensor, got a dict/, /state_dict/],
  ["big-endian.bin", /has byte order "big"/],
  ["expanded.bin", /larger than its storage of 1 elements: shape \[1000, 1000\], strides \[0, 0\]/],
  ["torchscript.pt", /is a TorchScript archive/],
  ["expected.safetensors", /is not a torch checkpoint/, /this is a safetensors file/],
];

for (const [file, message, hint] of REFUSED) {
  test(`${file} is refused with what was found`, () => {
    const error = failure(() => openTorchCheckpoint(fixture(file)));
    expect(error.message).toMatch(message);
    expect(error.message).toStartWith(fixture(file));
    if (hint !== undefined) expect(error.hint).toMatch(hint);
  });
}

/** A checkpoint with this pickle, given as latin1 text. */
function withPickle(pickle: string, storage = new Uint8Array(8)): string {
  const data = Buffer.from(pickle, "latin1");
  writeFileSync(
    path,
    makeZip([
      { name: "a/data.pkl", data },
      { name: "a/data/0", data: storage },
    ]),
  );
  return path;
}

const text = (s: string) => `X${String.fromCharCode(s.length)}\0\0\0${s}`;
const storage = (type: string, elements: string) =>
  `(${text("storage")}ctorch\n${type}\n${text("0")}${text("cpu")}${elements}tQ`;
const tensor = (offset: string, shape: string, strides: string, elements = "K\x02") =>
  `ctorch._utils\n_rebuild_tensor_v2\n(${storage("FloatStorage", elements)}${offset}${shape}${strides}\x89}tR`;
const dict = (value: string) => `\x80\x02}${text("w")}${value}s.`;
const sizes = (...n: number[]) => `(${n.map((x) => `K${String.fromCharCode(x)}`).join("")}t`;

test("the handwritten pickles are well formed", () => {
  const { shape } = openTorchCheckpoint(withPickle(dict(tensor("K\0", sizes(2), sizes(1))))).get(
    "w",
  )!;
  expect(shape).toEqual([2]);
});

const HOSTILE: readonly [what: string, pickle: string, message: RegExp][] = [
  ["an opcode that builds objects", "\x80\x02)\x81.", /opcode 0x81, which no tensor needs/],
  ["protocol 0 text", "I1\n.", /opcode 0x49/],
  ["eval", "cbuiltins\neval\n.", /refers to "builtins.eval"/],
  ["a global by stack", `\x80\x04\x8c\x02os\x8c\x06system\x93.`, /refers to "os.system"/],
  ["a call of a storage type", dict("ctorch\nFloatStorage\n)R"), /calls torch.FloatStorage/],
  ["a call of a value", dict("K\x01)R"), /calls something other than a global/],
  ["attributes on a list", "]}b.", /sets attributes of something other than a dict/],
  ["an empty stack", "0.", /pops an empty stack/],
  ["a value below a mark", "K\x01K\x01(0.", /pops an empty stack/],
  ["an unopened group", "t.", /closes a mark that was never set/],
  ["an unknown memo", "h\x05.", /reads memo 5/],
  ["a key without a value", "}(K\x01u.", /sets a key without a value/],
  ["items of a number", "K\x01(K\x01K\x01u.", /sets a key of something other than a dict/],
  ["appends to a dict", "}K\x01a.", /appends to something other than a list/],
  ["a string longer than the file", "X\xff\xff\xff\x7fabc.", /is truncated: 2147483647 more bytes/],
  ["a line without an end", "cos", /a line of the pickle is not terminated/],
  ["no STOP", "}", /is truncated/],
  ["not a dict", "K\x05.", /must hold a dict of tensors, got 5/],
  [
    "a key that is not text",
    `}K\x05${tensor("K\0", sizes(2), sizes(1))}s.`,
    /: 5: must be a tensor/,
  ],
  [
    "a storage of more bytes than stored",
    dict(tensor("K\0", sizes(2), sizes(1), "K\x03")),
    /needs 12 bytes, found 8/,
  ],
  [
    "a storage of 2^64 elements",
    dict(tensor("K\0", sizes(2), sizes(1), "\x8a\x09\0\0\0\0\0\0\0\0\x01")),
    /describes a storage/,
  ],
  [
    "a negative number of elements",
    dict(tensor("K\0", sizes(2), sizes(1), "J\xff\xff\xff\xff")),
    /describes a storage/,
  ],
  [
    "a tensor past its storage",
    dict(tensor("K\x01", sizes(2), sizes(1))),
    /larger than its storage of 2 elements/,
  ],
  ["a stride past its storage", dict(tensor("K\0", sizes(2), sizes(2))), /larger than its storage/],
  [
    "sizes without strides",
    dict(tensor("K\0", sizes(2), sizes())),
    /shape and strides do not match/,
  ],
  [
    "a negative size",
    dict(tensor("K\0", "(J\xff\xff\xff\xfft", sizes(1))),
    /shape and strides do not match/,
  ],
];

for (const [what, pickle, message] of HOSTILE) {
  test(`a pickle with ${what} is refused`, () => {
    const error = failure(() => openTorchCheckpoint(withPickle(pickle)));
    expect(error.message).toMatch(message);
    expect(error.message).toStartWith(path);
  });
}

test("a deeply nested value as a key or a name is refused, not followed", () => {
  const deep = "]".repeat(100_000) + "a".repeat(99_999);
  expect(failure(() => openTorchCheckpoint(withPickle(`}${deep}K\x01s.`))).message).toContain(
    "a list",
  );
  expect(failure(() => openTorchCheckpoint(withPickle(`${deep}K\x01\x93.`))).message).toContain(
    "other than text",
  );
});

/** Runs `read`; returns its result with the processor milliseconds that it took. */
function timed<T>(read: () => T): readonly [result: T, milliseconds: number] {
  const started = cpuTime();
  return [read(), cpuTime() - started];
}

const memoised = (value: string) => `${value}q\x00`;

test("a long list in the memo cannot be turned into dicts again and again", () => {
  const pairs = `](${`${text("k")}K\x01\x86`.repeat(2000)}e`;
  const call = "ccollections\nOrderedDict\n";
  const pickle = `\x80\x02${memoised(pairs)}q\x01${`${call}h\x00\x85R0`.repeat(1500)}.`;
  const [error, ms] = timed(() => failure(() => openTorchCheckpoint(withPickle(pickle))));
  expect(error.message).toContain("makes far more objects than its size explains");
  expect(ms).toBeLessThan(1000);
});

test("dicts of one byte each cannot fill the memory", () => {
  const pickle = `\x80\x02${"}".repeat(200_000)}.`;
  expect(failure(() => openTorchCheckpoint(withPickle(pickle))).message).toContain(
    "makes far more objects than its size explains",
  );
});

test("a tensor of more axes than torch's is refused", () => {
  const ones = sizes(...Array.from({ length: 65 }, () => 1));
  expect(
    failure(() => openTorchCheckpoint(withPickle(dict(tensor("K\0", ones, ones))))).message,
  ).toContain("shape and strides do not match");
});

test("a transposed tensor of many names is copied once", () => {
  const transposed = tensor("K\0", sizes(2, 2), sizes(1, 2), "K\x04");
  const names = ["a", "b", "c", "d"].map((name) => `${text(name)}${transposed}s`).join("");
  const tensors = openTorchCheckpoint(withPickle(`\x80\x02}${names}.`, new Uint8Array(16)));
  expect(new Set([...tensors.values()].map(({ bytes }) => bytes)).size).toBe(1);
});

test("copies of one storage by other strides cannot exceed the file", () => {
  const elements = "M\xff\x7f"; // 32,767 floats
  const names = Array.from({ length: 100 }, (_, i) => {
    const shape = `(M${String.fromCharCode(i, 0x3f)}K\x02t`; // some 16,000 rows
    return `${text(`w${i}`)}${tensor("K\0", shape, sizes(1, 2), elements)}s`;
  });
  const file = withPickle(`\x80\x02}${names.join("")}.`, new Uint8Array(4 * 32_767));
  expect(failure(() => openTorchCheckpoint(file)).message).toContain(
    "its transposed tensors need more memory than the whole file has bytes",
  );
});

test("no message repeats a long name of the file", () => {
  const long = `X\x40\x42\x0f\0${"n".repeat(1_000_000)}`;
  for (const pickle of [`}${long}K\x01s.`, `${long}${long}\x93.`, `${long}.`]) {
    const { message } = failure(() => openTorchCheckpoint(withPickle(pickle)));
    expect(message.length).toBeLessThan(400);
  }
});

const openEntries = (file: string) =>
  [...readZipDirectory(openMapped(file)).values()].map((bytes) => bytes());

const entries = [
  { name: "x/one", data: Buffer.from("first") },
  { name: "x/two", data: Buffer.from("second") },
];

test("a zip64 directory gives the same entries as a plain one", () => {
  for (const zip64 of [false, true]) {
    writeFileSync(path, makeZip(entries, { zip64 }));
    const found = [...readZipDirectory(openMapped(path))].map(([name, bytes]) => [
      name,
      Buffer.from(bytes()).toString(),
    ]);
    expect(found).toEqual([
      ["x/one", "first"],
      ["x/two", "second"],
    ]);
  }
});

test("compressed, encrypted and repeated entries are refused", () => {
  const data = Buffer.from("data");
  const cases = [
    [[{ name: "a", data, method: 8 }], /"a": is compressed \(zip method 8\)/],
    [[{ name: "a", data, flags: 1 }], /"a": is encrypted/],
    [
      [
        { name: "a", data },
        { name: "a", data },
      ],
      /holds "a" twice/,
    ],
  ] as const;
  for (const [content, message] of cases) {
    writeFileSync(path, makeZip(content));
    expect(failure(() => openEntries(path)).message).toMatch(message);
  }
});

test("a zip without a pickle names what it holds", () => {
  writeFileSync(path, makeZip(entries));
  const { message } = failure(() => openTorchCheckpoint(path));
  expect(message).toContain(
    "is a zip archive, but not a checkpoint of torch.save: found x/one, x/two",
  );
});

test("a checkpoint truncated or damaged at any byte is refused or read, never a crash", () => {
  const damaged = join(dir, "damaged.bin");
  const read = (file: string) => openTorchCheckpoint(file);
  for (const name of ["legacy-view.bin", "small.bin"]) {
    expect(readDamaged(damaged, readFileSync(fixture(name)), read)).toBeGreaterThan(200);
  }
  const zip64 = makeZip(entries, { zip64: true });
  expect(readDamaged(damaged, zip64, openEntries)).toBeGreaterThan(100);
});
