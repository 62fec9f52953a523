import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { charsmapFault } from "../../../core/text/charsmap.ts";
import { parseSentencePiece } from "../../../core/text/sentencepiece.ts";
import { tinyDir } from "./fixtures.ts";

const { charsmap } = parseSentencePiece(readFileSync(join(tinyDir, "spm.model")), "spm.model");
const units = new DataView(charsmap.buffer, charsmap.byteOffset).getUint32(0, true) / 4;

/** The map with one unit of its trie replaced. */
function withUnit(index: number, unit: number): Uint8Array {
  const damaged = Uint8Array.from(charsmap);
  new DataView(damaged.buffer).setUint32(4 + 4 * index, unit, true);
  return damaged;
}

/** A map of `size` units, empty but for the root and a value at 256. */
function mapOf(size: number, root: number, value: number, texts: string): Uint8Array {
  const trie = new Uint32Array(size + 1);
  trie.set([4 * size, root]);
  trie[1 + 256] = (0x80000000 | value) >>> 0;
  return Uint8Array.from([...new Uint8Array(trie.buffer), ...new TextEncoder().encode(texts)]);
}

describe("charsmapFault", () => {
  test("a map written by sentencepiece is valid", () => {
    expect(charsmapFault(charsmap)).toBeUndefined();
  });

  test("children beyond the end of the trie are refused", () => {
    expect(charsmapFault(withUnit(units - 1, units << 10))).toBe(
      `unit ${units - 1} of its character map points outside the map`,
    );
  });

  test("a value beyond the end of the texts is refused", () => {
    const root = new DataView(charsmap.buffer, charsmap.byteOffset).getUint32(4, true);
    const children = (root >>> 10) << ((root & 0x200) >>> 6);
    const damaged = withUnit(children, (0x80000000 | 9999) >>> 0);
    new DataView(damaged.buffer).setUint32(4, (root | 0x100) >>> 0, true);
    expect(charsmapFault(damaged)).toBe("unit 0 of its character map points outside the map");
  });

  test("children may not extend beyond the end, and a value may not point into a character", () => {
    // unit 0 has its children from 256 on, the first being a value (unit 256)
    const root = (256 << 10) | 0x100;
    expect(charsmapFault(mapOf(512, root, 0, "é\0"))).toBeUndefined();
    const fault = "unit 0 of its character map points outside the map";
    expect(charsmapFault(mapOf(300, root, 0, "é\0"))).toBe(fault);
    expect(charsmapFault(mapOf(512, root, 1, "é\0"))).toBe(fault);
  });

  test("a character may not become a long text", () => {
    const root = (256 << 10) | 0x100;
    expect(charsmapFault(mapOf(512, root, 0, `${"x".repeat(64)}\0`))).toBeUndefined();
    expect(charsmapFault(mapOf(512, root, 0, `${"x".repeat(65)}\0`))).toBe(
      "its character map replaces a character by 65 bytes",
    );
  });

  test("a letter may not be deleted: the library panics on a token of which nothing is left", () => {
    const letter = "U".charCodeAt(0);
    const trie = new Uint32Array(1 + 768);
    trie[0] = 4 * 768;
    trie[1] = 256 << 10; // the root's children begin at 256
    const at = 256 ^ letter;
    trie[1 + at] = ((at ^ 512) << 10) | 0x100 | letter; // its children begin at 512, with a value
    for (const [value, fault] of [
      [0, undefined],
      [1, 'its character map deletes "U"'],
    ] as const) {
      trie[1 + 512] = (0x80000000 | value) >>> 0;
      const map = Uint8Array.from([...new Uint8Array(trie.buffer), 0x78, 0]);
      expect(charsmapFault(map)).toBe(fault);
    }
  });

  test("texts that are not UTF-8 are refused", () => {
    const damaged = Uint8Array.from(charsmap);
    damaged[damaged.length - 2] = 0xff;
    expect(charsmapFault(damaged)).toBe("the texts of its character map are not UTF-8");
  });

  test.each([[new Uint8Array()], [charsmap.subarray(0, 3)], [charsmap.subarray(0, 500)]])(
    "a truncated map is refused",
    (cut) => {
      expect(charsmapFault(cut)).toBe(`its character map of ${cut.length} bytes is truncated`);
    },
  );
});
