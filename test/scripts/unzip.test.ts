import { describe, expect, test } from "bun:test";
import { deflateRawSync } from "node:zlib";
import { unzip } from "../../scripts/setup/unzip.ts";

interface Member {
  readonly name: string;
  readonly data: Buffer;
  readonly deflate?: boolean;
}

/** A zip archive by the book, without checksums, which the reader leaves to the pinned sha256. */
function zip(members: readonly Member[], comment = ""): Buffer {
  const parts: Buffer[] = [];
  const entries: Buffer[] = [];
  let at = 0;
  for (const { name, data, deflate } of members) {
    const packed = deflate === true ? deflateRawSync(data) : data;
    const local = Buffer.alloc(30 + name.length + 4); // and an extra field of 4 bytes
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    local.writeUInt16LE(4, 28);
    local.write(name, 30);
    const entry = Buffer.alloc(46 + name.length);
    entry.writeUInt32LE(0x02014b50, 0);
    entry.writeUInt16LE(deflate === true ? 8 : 0, 10);
    entry.writeUInt32LE(packed.length, 20);
    entry.writeUInt32LE(data.length, 24);
    entry.writeUInt16LE(name.length, 28);
    entry.writeUInt32LE(at, 42);
    entry.write(name, 46);
    parts.push(local, packed);
    entries.push(entry);
    at += local.length + packed.length;
  }
  const end = Buffer.alloc(22 + comment.length);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(members.length, 10);
  end.writeUInt32LE(at, 16);
  end.write(comment, 22);
  return Buffer.concat([...parts, ...entries, end]);
}

const text = Buffer.from("a licence ".repeat(1000));
const bytes = Buffer.from(Array.from({ length: 3000 }, (_, i) => (i * 37) % 251));
const archive = zip(
  [
    { name: "x/lib/libfoo.so", data: bytes },
    { name: "x/doc/LICENSE", data: text, deflate: true },
    { name: "x/other", data: text },
  ],
  "made by a test",
);

describe("unzip", () => {
  test("reads the members asked for, stored and deflated, past a comment", () => {
    const members = unzip(archive, "a.whl", ["/lib/libfoo.so", "/doc/LICENSE"]);
    expect([...members.keys()]).toEqual(["/lib/libfoo.so", "/doc/LICENSE"]);
    expect(Buffer.compare(members.get("/lib/libfoo.so") ?? Buffer.of(), bytes)).toBe(0);
    expect(Buffer.compare(members.get("/doc/LICENSE") ?? Buffer.of(), text)).toBe(0);
  });

  test("an absent member is named", () => {
    expect(() => unzip(archive, "a.whl", ["/lib/none.so"])).toThrow("a.whl: has no /lib/none.so");
  });

  test("an archive cut anywhere is refused", () => {
    for (let length = 0; length < archive.length - "made by a test".length; length += 97)
      expect(() => unzip(archive.subarray(0, length), "a.whl", ["/doc/LICENSE"])).toThrow(
        "a.whl: is not a whole zip archive",
      );
  });

  test("a member that unpacks to more or less than it declares is refused", () => {
    for (const change of [-1, 1]) {
      const wrong = Buffer.from(archive);
      const entry = wrong.indexOf(Buffer.from("x/doc/LICENSE"), archive.length - 250) - 46;
      wrong.writeUInt32LE(text.length + change, entry + 24);
      expect(() => unzip(wrong, "a.whl", ["/doc/LICENSE"])).toThrow("is not a whole zip archive");
    }
  });
});
