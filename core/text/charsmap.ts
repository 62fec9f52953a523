/**
 * Describes what is wrong with a sentencepiece character map; undefined for a valid one.
 *
 * Layout: byte count of the trie (u32), the trie (a darts-clone double array of u32 units), then
 * NUL-terminated UTF-8 texts; a value in the trie is the offset of its text. The native library
 * trusts all of it, and a map that points outside itself ends the process, so every reachable
 * offset is checked first.
 */
export function charsmapFault(charsmap: Uint8Array): string | undefined {
  const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
  const trieBytes = charsmap.length < 4 ? 0 : view.getUint32(0, true);
  if (trieBytes === 0 || trieBytes % 4 !== 0 || 4 + trieBytes > charsmap.length) {
    return `its character map of ${charsmap.length} bytes is truncated`;
  }
  const texts = charsmap.subarray(4 + trieBytes);
  const longest = longestText(texts);
  if (longest > MAX_TEXT_BYTES) {
    return `its character map replaces a character by ${longest} bytes`;
  }
  if (!isUtf8(texts)) return "the texts of its character map are not UTF-8";
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) =>
    view.getUint32(4 + 4 * i, true),
  );
  for (let i = 0; i < units.length; i++) {
    const unit = units[i]!;
    if (isLeaf(unit)) continue;
    const children = (i ^ offsetOf(unit)) >>> 0;
    const isInside = (children | 0xff) >>> 0 < units.length;
    if (!isInside || (hasValue(unit) && !startsText(units[children]! & 0x7fffffff, texts))) {
      return `unit ${i} of its character map points outside the map`;
    }
  }
  const deleted = deletedLetter(units, texts);
  return deleted === undefined ? undefined : `its character map deletes "${deleted}"`;
}

// NFKC's longest is 33.
const MAX_TEXT_BYTES = 64;

/** The most bytes that a character may become, whatever the trie holds. */
function longestText(texts: Uint8Array): number {
  let longest = 0;
  let start = 0;
  for (let end = texts.indexOf(0); end !== -1; end = texts.indexOf(0, start)) {
    longest = Math.max(longest, end - start);
    start = end + 1;
  }
  return Math.max(longest, texts.length - start);
}

/**
 * A letter, digit or sign of ASCII that the map deletes. The native library ends the process when
 * nothing is left of a token that is matched in normalized text.
 */
function deletedLetter(units: Uint32Array, texts: Uint8Array): string | undefined {
  const root = units[0]!;
  for (let code = 0x21; code < 0x7f; code++) {
    const at = (offsetOf(root) ^ code) >>> 0;
    const unit = units[at] ?? 0;
    if ((unit & 0x800000ff) >>> 0 !== code || !hasValue(unit)) continue;
    const value = units[(at ^ offsetOf(unit)) >>> 0] ?? 0;
    if (texts[value & 0x7fffffff] === 0) return String.fromCharCode(code);
  }
  return undefined;
}

// darts-clone: bit 31 marks a value, bit 8 that a unit's children begin with one, bit 9 an offset
// in blocks of 256
const isLeaf = (unit: number) => unit >>> 31 === 1;
const hasValue = (unit: number) => ((unit >>> 8) & 1) === 1;
const offsetOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);

/** Whether a text can begin at this byte: inside the map, and not within a character. */
function startsText(at: number, texts: Uint8Array): boolean {
  const byte = texts[at];
  return byte !== undefined && (byte & 0xc0) !== 0x80;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
