import type { Random } from "./random.ts";

/** A changed copy of a JSON text: values, keys and lists, not characters. */
export function mutateJson(seed: Uint8Array, random: Random): Uint8Array {
  let root: unknown = JSON.parse(Buffer.from(seed).toString("utf8"));
  const changes = 1 + random.below(random.once(6) ? 8 : 2);
  for (let i = 0; i < changes; i++) root = changeIn(root, random);
  return Buffer.from(JSON.stringify(root) ?? "null");
}

const nested = (depth: number): unknown => (depth === 0 ? 1 : [nested(depth - 1)]);

const VALUES: readonly unknown[] = [
  [null, true, false, 0, 1, -1, 2, 0.5, -0.5, 3, 64, 1000, 1e9, 4_294_967_295, 4_294_967_296],
  [2 ** 53, 1e300, -1e300, "", "a", " ", "\0", "\ud800", "🙂", "x".repeat(5000), "__proto__"],
  [[], {}, [[]], [null], [1, 2, 3], nested(300), Array.from({ length: 3000 }, (_, i) => i)],
  ["(x+x+)+y", " {2,}", "\\s+", "a", "t", "tt", "[CLS]", "A", "B", "Regex", "AAAA/////w=="],
  [{ Regex: "a*a*b" }, { String: "" }, { String: "a" }, { type: "Sequence", normalizers: [] }],
  [{ type: "Lowercase" }, { type: "Replace", pattern: { String: "a" }, content: "aaaa" }],
  [{ type: "Split", pattern: { Regex: "[a]+b" }, behavior: "Isolated", invert: true }],
  [{ type: "Digits", individual_digits: true }, { type: "NFKD" }, { type: "ByteLevel" }],
  [
    { type: "Prepend", prepend: "▁" },
    { type: "FixedLength", length: 0 },
    { type: "UnicodeScripts" },
  ],
].flat(1);

/** Changes one value somewhere inside; returns the new root. */
function changeIn(value: unknown, random: Random): unknown {
  const isContainer = typeof value === "object" && value !== null;
  const keys = isContainer ? Object.keys(value) : [];
  if (!isContainer || keys.length === 0 || random.once(8)) return replaced(value, random);
  const key = random.pick(keys);
  const child: unknown = Reflect.get(value, key);
  const isInner = typeof child === "object" && child !== null;
  if (isInner && !random.once(5)) {
    Reflect.set(value, key, changeIn(child, random));
    return value;
  }
  if (Array.isArray(value)) changeList(value, Number(key), random);
  else changeMember(value, key, child, random);
  return value;
}

function changeList(list: unknown[], at: number, random: Random): void {
  const times = random.once(10) ? random.below(2000) : 1;
  if (random.once(4)) list.splice(at, 1);
  else if (random.once(3)) list.splice(at, 0, ...Array.from({ length: times }, () => list[at]));
  else list[at] = replaced(list[at], random);
}

function changeMember(object: object, key: string, child: unknown, random: Random): void {
  if (random.once(4)) Reflect.deleteProperty(object, key);
  else if (random.once(6))
    Reflect.set(object, `${key}${random.pick(["2", "_", "\0", "é"])}`, child);
  else Reflect.set(object, key, replaced(child, random));
}

function replaced(value: unknown, random: Random): unknown {
  if (typeof value === "number" && random.once(3))
    return value * random.pick([-1, 2, 1.5, 1000, 1e10]);
  if (typeof value === "string" && random.once(3)) {
    const at = random.below(value.length + 1);
    return (
      value.slice(0, at) +
      random.pick(["", "a", "\n", "\u0301", "é", "9", '"', value]) +
      value.slice(at)
    );
  }
  if (Array.isArray(value) && random.once(4)) return Object.fromEntries(Object.entries(value));
  return structuredClone(random.pick(VALUES)); // the next change may be inside
}
