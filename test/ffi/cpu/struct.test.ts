import { afterAll, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ALLOCATOR_STRUCTS } from "../../../ffi/cpu/backend/allocator.ts";
import { ATTENTION_ARGS, ATTENTION_SHAPE } from "../../../ffi/cpu/backend/attention.ts";
import { SIZE } from "../../../ffi/cpu/backend/kernels.ts";
import { LAYER_NORM_BACKWARD_ARGS } from "../../../ffi/cpu/backend/layer-norm.ts";
import { LOW_RANK_ARGS } from "../../../ffi/cpu/backend/low-rank.ts";
import { MULTI_HEAD_ARGS, MULTI_HEAD_SHAPE } from "../../../ffi/cpu/backend/multi-head.ts";
import { OPTIMIZER_STRUCTS } from "../../../ffi/cpu/backend/optimizer.ts";
import { pack, struct } from "../../../ffi/cpu/backend/struct.ts";
import { TOP_ARGS } from "../../../ffi/cpu/backend/top-log-probabilities.ts";
import { buildKernels } from "../../../ffi/cpu/build.ts";
import { cpuFlags, usableLevels } from "../../../ffi/cpu/isa.ts";
import { openLibrary } from "../../../ffi/load.ts";
import { pointerAt } from "../../../ffi/libc.ts";

interface Layout {
  readonly fields: Readonly<Record<string, string>>;
  readonly offsets: readonly number[];
  readonly bytes: number;
}

/** Every struct that TypeScript packs, by its name in kernels/arguments.h. */
const layouts: Readonly<Record<string, Layout>> = {
  ...ALLOCATOR_STRUCTS,
  ...OPTIMIZER_STRUCTS,
  attention_args: ATTENTION_ARGS,
  layer_norm_bwd_args: LAYER_NORM_BACKWARD_ARGS,
  low_rank_args: LOW_RANK_ARGS,
  multi_head_args: MULTI_HEAD_ARGS,
  top_log_probabilities_args: TOP_ARGS,
};

/** Fields that C nests in a member `shape`. */
const nested: Readonly<Record<string, object>> = {
  attention_args: ATTENTION_SHAPE,
  multi_head_args: MULTI_HEAD_SHAPE,
};

/** A field's path in C. */
function memberOf(name: string, field: string): string {
  const snake = field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return Object.hasOwn(nested[name] ?? {}, field) ? `shape.${snake}` : snake;
}

/** C functions of each struct's name: the offset of field i, and the size for the next i. */
const source = Object.entries(layouts)
  .map(([name, { fields }]) => {
    const offsets = Object.keys(fields).map((f) => `offsetof(${name}, ${memberOf(name, f)})`);
    const all = [...offsets, `sizeof(${name})`].join(", ");
    return `int64_t layout_${name}(int i) { return (const int64_t[]){${all}}[i]; }`;
  })
  .join("\n");

const header = join(import.meta.dir, "../../../ffi/cpu/kernels/arguments.h");
const possible =
  cpuFlags().has("avx2") && ["gcc", "cc", "clang"].some((name) => Bun.which(name) !== null);
const root = mkdtempSync(join(tmpdir(), "adalora-struct-"));
afterAll(() => rmSync(root, { recursive: true }));

// FFI passes an address: a field at another offset than in C would be read as its neighbour.
test.skipIf(!possible)("structs are laid out as in C (needs a C compiler and AVX2)", async () => {
  writeFileSync(join(root, "layouts.c"), `#include "${header}"\n${source}\n`);
  const levels = usableLevels().slice(-1);
  const { manifest } = await buildKernels({ from: root, to: root, levels });
  const file = Object.values(manifest.libraries)[0] ?? "";
  for (const [name, { offsets, bytes }] of Object.entries(layouts)) {
    const table = { [`layout_${name}`]: { args: ["i32"], returns: SIZE } } as const;
    const { symbols } = openLibrary("layouts", [join(root, file)], table, "");
    const inC = [...offsets, bytes].map((_, i) => Number(symbols[`layout_${name}`]?.(i)));
    expect(inC, name).toEqual([...offsets, bytes]);
  }
});

describe("pack", () => {
  const layout = struct({ count: "i32", at: "ptr", scale: "f32", total: "i64", flag: "i32" });

  test("aligns each field to its size, and the struct to its largest field", () => {
    expect(layout.offsets).toEqual([0, 8, 16, 24, 32]);
    expect(layout.bytes).toBe(40);
    expect(struct({ a: "f32", b: "i32", c: "f32" }).bytes).toBe(12);
  });

  test("writes one struct after another; NULL is 0", () => {
    const first = {
      count: -3,
      at: pointerAt(0x7fff_1234_5678),
      scale: 0.1,
      total: 2 ** 40,
      flag: 1,
    };
    const bytes = pack(layout, first, { ...first, at: null, total: -1 });
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    expect(bytes.length).toBe(80);
    expect(view.getInt32(0, true)).toBe(-3);
    expect(view.getBigInt64(8, true)).toBe(0x7fff_1234_5678n);
    expect(view.getFloat32(16, true)).toBe(Math.fround(0.1));
    expect(view.getBigInt64(24, true)).toBe(2n ** 40n);
    expect(view.getInt32(32, true)).toBe(1);
    expect(view.getBigInt64(48, true)).toBe(0n);
    expect(view.getBigInt64(64, true)).toBe(-1n);
  });
});
