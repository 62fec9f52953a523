import type { Random } from "./random.ts";
import { mutateJson } from "./mutate-json.ts";

/** What the bytes of a seed are: how they are changed. */
export type Kind = "binary" | "text" | "json" | "safetensors";

/** The longest input: a mutation may repeat a part many times. */
const MAX_BYTES = 200_000;

/** A changed copy of a seed. */
export function mutate(seed: Uint8Array, kind: Kind, random: Random): Uint8Array {
  if (kind === "json" && !random.once(4)) return mutateJson(seed, random);
  if (kind === "safetensors" && !random.once(3)) return mutateHeader(seed, random);
  let bytes: Uint8Array = Uint8Array.from(seed);
  const changes = 1 + random.below(random.once(8) ? 12 : 3);
  for (let i = 0; i < changes && bytes.length > 0; i++) {
    const isText = kind !== "binary" && kind !== "safetensors";
    const change =
      isText && !random.once(3) ? random.pick(TEXT_CHANGES) : random.pick(BYTE_CHANGES);
    bytes = change(bytes, random).subarray(0, MAX_BYTES);
  }
  return bytes;
}

type Change = (bytes: Uint8Array, random: Random) => Uint8Array;

const NUMBERS = [0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

const BYTE_CHANGES: readonly Change[] = [
  (bytes, random) => {
    bytes[random.below(bytes.length)]! ^= 1 << random.below(8);
    return bytes;
  },
  (bytes, random) => {
    bytes[random.below(bytes.length)] = random.pick(NUMBERS);
    return bytes;
  },
  (bytes, random) => {
    const [at, width, value] = [
      random.below(bytes.length),
      random.pick([2, 4, 8]),
      random.pick(NUMBERS),
    ];
    const view = new DataView(new ArrayBuffer(8));
    view.setBigUint64(0, random.once(3) ? 2n ** 64n - BigInt(value) - 1n : BigInt(value), true);
    for (let i = 0; i < width && at + i < bytes.length; i++) bytes[at + i] = view.getUint8(i);
    return bytes;
  },
  (bytes, random) => bytes.subarray(0, random.below(bytes.length)),
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return joined(bytes.subarray(0, start), bytes.subarray(end));
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    const part = bytes.subarray(start, end);
    const times = random.once(6) ? 1 + random.below(3000) : 1;
    const copies = Math.min(times, Math.floor(MAX_BYTES / Math.max(1, part.length)));
    return joined(
      bytes.subarray(0, end),
      ...Array.from({ length: copies }, () => part),
      bytes.subarray(end),
    );
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    bytes.copyWithin(random.below(bytes.length), start, end);
    return bytes;
  },
  (bytes, random) => {
    const at = random.below(bytes.length);
    const noise = Uint8Array.from({ length: 1 + random.below(16) }, () => random.below(256));
    return joined(bytes.subarray(0, at), noise, bytes.subarray(at));
  },
  (bytes, random) => {
    const [start, end] = range(bytes, random);
    return bytes.fill(random.pick([0, 0xff, 0x80]), start, end);
  },
];

const SNIPPETS = [
  ['"', '""', "\n", "\r", "\r\n", "\t", ",", ";", "\0", "\ufeff", "é", "🙂", "\u2028", "\\"],
  ["[", "]", "{", "}", ":", "null", "NaN", "1e999", "-1", "0.1", "1".repeat(400), "9".repeat(20)],
  ["a".repeat(3000), "[".repeat(3000), '{"a":'.repeat(600), "&x [*x]", "''", "'''", "- ", "= "],
].flat();

const TEXT_CHANGES: readonly Change[] = [
  (bytes, random) => {
    const at = random.below(bytes.length);
    return joined(bytes.subarray(0, at), Buffer.from(random.pick(SNIPPETS)), bytes.subarray(at));
  },
  // A number, or a quoted text, becomes something else.
  (bytes, random) => replaceOne(bytes, /-?\d+(?:\.\d+)?/g, random),
  (bytes, random) => replaceOne(bytes, /"[^"\n]*"/g, random),
  // A line again and again.
  (bytes, random) => {
    const lines = Buffer.from(bytes).toString("latin1").split("\n");
    const line = random.pick(lines);
    const times = random.once(4) ? random.below(2000) : 1;
    lines.splice(random.below(lines.length + 1), 0, ...Array.from({ length: times }, () => line));
    return Buffer.from(lines.join("\n"), "latin1");
  },
];

function replaceOne(bytes: Uint8Array, pattern: RegExp, random: Random): Uint8Array {
  const text = Buffer.from(bytes).toString("latin1");
  const found = [...text.matchAll(pattern)];
  if (found.length === 0) return bytes;
  const match = random.pick(found);
  const by = Buffer.from(random.pick(SNIPPETS)).toString("latin1");
  const end = match.index + match[0].length;
  return Buffer.from(text.slice(0, match.index) + by + text.slice(end), "latin1");
}

/** A safetensors file whose header is changed as JSON, with the right length before it. */
function mutateHeader(seed: Uint8Array, random: Random): Uint8Array {
  const length = Number(new DataView(seed.buffer, seed.byteOffset).getBigUint64(0, true));
  const header = mutateJson(seed.subarray(8, 8 + length), random);
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(BigInt(header.length));
  return joined(prefix, header, seed.subarray(8 + length));
}

function range(bytes: Uint8Array, random: Random): readonly [start: number, end: number] {
  const start = random.below(bytes.length);
  const longest = random.once(3) ? bytes.length : 24;
  return [start, Math.min(bytes.length, start + 1 + random.below(longest))];
}

const joined = (...parts: readonly Uint8Array[]): Uint8Array =>
  Uint8Array.from(Buffer.concat(parts));
