import { expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { CONVERT_KERNELS } from "../../../ffi/cpu/backend/adopt.ts";
import { ALLOCATOR_KERNELS, ALLOCATOR_SIZES } from "../../../ffi/cpu/backend/allocator.ts";
import { ATTENTION_KERNELS, ATTENTION_SIZES } from "../../../ffi/cpu/backend/attention.ts";
import { ELEMENTWISE_KERNELS } from "../../../ffi/cpu/backend/elementwise.ts";
import { SIZE } from "../../../ffi/cpu/backend/kernels.ts";
import { LAYER_NORM_KERNELS, LAYER_NORM_SIZES } from "../../../ffi/cpu/backend/layer-norm.ts";
import { LOSS_KERNELS } from "../../../ffi/cpu/backend/losses.ts";
import { MATRIX_KERNELS, MATRIX_SIZES } from "../../../ffi/cpu/backend/matrix.ts";
import { MULTI_HEAD_KERNELS, MULTI_HEAD_SIZES } from "../../../ffi/cpu/backend/multi-head.ts";
import { OPTIMIZER_KERNELS } from "../../../ffi/cpu/backend/optimizer.ts";
import { ROW_KERNELS } from "../../../ffi/cpu/backend/rows.ts";
import { VOCABULARY_LOSS_KERNELS } from "../../../ffi/cpu/backend/vocabulary-loss.ts";

const kernels = join(import.meta.dir, "../../../ffi/cpu/kernels");

/** Every declared symbol, as "result name(arguments)" in FFI's words. */
const declared = Object.entries({
  ...CONVERT_KERNELS,
  ...ALLOCATOR_KERNELS,
  ...ALLOCATOR_SIZES,
  ...ATTENTION_KERNELS,
  ...ATTENTION_SIZES,
  ...ELEMENTWISE_KERNELS,
  ...LAYER_NORM_KERNELS,
  ...LAYER_NORM_SIZES,
  ...LOSS_KERNELS,
  ...MATRIX_KERNELS,
  ...MATRIX_SIZES,
  ...MULTI_HEAD_KERNELS,
  ...MULTI_HEAD_SIZES,
  ...OPTIMIZER_KERNELS,
  ...ROW_KERNELS,
  ...VOCABULARY_LOSS_KERNELS,
}).map(([name, { args, returns }]) => {
  const result = returns === SIZE ? "i64" : returns;
  return `${result} ${name}(${args.join(", ")})`;
});

/** The FFI type of one C parameter or result. */
function typeOf(text: string): string {
  if (text.includes("*")) return "ptr";
  const type =
    text
      .trim()
      .replace(/^const /, "")
      .split(" ")[0] ?? "";
  const known: Record<string, string> = { int: "i32", int64_t: "i64", float: "f32" };
  return known[type] ?? `unknown ${type}`;
}

/** The exported functions of the C sources, in the same words. */
const defined = readdirSync(kernels)
  .filter((file) => file.endsWith(".c"))
  .flatMap((file) => {
    const source = readFileSync(join(kernels, file), "utf8");
    const head = /ADL_API (\w+) (?:ADL_ACT\((\w+)\)|(\w+))\(([^)]*)\)/g;
    return [...source.matchAll(head)].map(([, result = "", activation, plain, parameters = ""]) => {
      const name = activation === undefined ? plain : `adl_${activation}_f32`;
      return `${typeOf(result)} ${name}(${parameters.split(",").map(typeOf).join(", ")})`;
    });
  });

// FFI checks nothing: an argument too few is a 0 in C, one of another type a wrong register.
test("every kernel is declared to FFI with the parameters that it has in C, and no other", () => {
  expect(declared.toSorted()).toEqual(defined.toSorted());
});
