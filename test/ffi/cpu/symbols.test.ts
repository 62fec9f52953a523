import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CONVERT_KERNELS } from "../../../ffi/cpu/backend/adopt.ts";
import { ALLOCATOR_KERNELS, ALLOCATOR_SIZES } from "../../../ffi/cpu/backend/allocator.ts";
import { ATTENTION_KERNELS, ATTENTION_SIZES } from "../../../ffi/cpu/backend/attention.ts";
import { CHOSEN_ROWS_KERNELS, CHOSEN_ROWS_SIZES } from "../../../ffi/cpu/backend/chosen-rows.ts";
import { ELEMENTWISE_KERNELS } from "../../../ffi/cpu/backend/elementwise.ts";
import { GATED_ACTIVATION_KERNELS } from "../../../ffi/cpu/backend/gated-activation.ts";
import { SIZE } from "../../../ffi/cpu/backend/kernels.ts";
import { LAYER_NORM_KERNELS, LAYER_NORM_SIZES } from "../../../ffi/cpu/backend/layer-norm.ts";
import { LOSS_KERNELS } from "../../../ffi/cpu/backend/losses.ts";
import { LOW_RANK_KERNELS, LOW_RANK_SIZES } from "../../../ffi/cpu/backend/low-rank.ts";
import { MATRIX_KERNELS, MATRIX_SIZES } from "../../../ffi/cpu/backend/matrix.ts";
import { MULTI_HEAD_KERNELS, MULTI_HEAD_SIZES } from "../../../ffi/cpu/backend/multi-head.ts";
import { OPTIMIZER_KERNELS } from "../../../ffi/cpu/backend/optimizer.ts";
import {
  NARROW_KERNELS,
  NARROW_SIZES,
  FEW_ROWS_KERNELS,
} from "../../../ffi/cpu/backend/products.ts";
import { RMS_NORM_KERNELS, RMS_NORM_SIZES } from "../../../ffi/cpu/backend/rms-norm.ts";
import { ROTARY_KERNELS } from "../../../ffi/cpu/backend/rotary.ts";
import { BF16_ROW_KERNELS, ROW_KERNELS } from "../../../ffi/cpu/backend/rows.ts";
import { TOP_KERNELS } from "../../../ffi/cpu/backend/top-log-probabilities.ts";
import { VOCABULARY_LOSS_KERNELS } from "../../../ffi/cpu/backend/vocabulary-loss.ts";
import { kernelUnits } from "../../../ffi/cpu/build.ts";
import { BUS_ERRORS } from "../../../ffi/cpu/bus-errors.ts";
import { PRODUCT_CALLS } from "../../../ffi/cpu/product-calls.ts";
import { TEAM_SYMBOLS } from "../../../ffi/cpu/team.ts";

const kernels = join(import.meta.dir, "../../../ffi/cpu/kernels");

/** Tables whose kernels come in both types; BF16_ROW_KERNELS come in bf16 alone, the allocator's, the optimizer's, FEW_ROWS_KERNELS and TOP_KERNELS in f32. */
const typed = {
  ...CONVERT_KERNELS,
  ...ATTENTION_KERNELS,
  ...CHOSEN_ROWS_KERNELS,
  ...ELEMENTWISE_KERNELS,
  ...GATED_ACTIVATION_KERNELS,
  ...LAYER_NORM_KERNELS,
  ...LOSS_KERNELS,
  ...LOW_RANK_KERNELS,
  ...MATRIX_KERNELS,
  ...MULTI_HEAD_KERNELS,
  ...NARROW_KERNELS,
  ...RMS_NORM_KERNELS,
  ...ROTARY_KERNELS,
  ...ROW_KERNELS,
  ...VOCABULARY_LOSS_KERNELS,
};
const named = (table: Record<string, Declaration>, suffix: string) =>
  Object.entries(table).map(([name, { args, returns }]) => {
    const result = returns === SIZE ? "i64" : String(returns);
    return `${result} ${name}${suffix}(${args.join(", ")})`;
  });
interface Declaration {
  readonly args: readonly unknown[];
  readonly returns: unknown;
}

/** Every declared symbol, as "result name(arguments)" in FFI's words. */
const declared = [
  ...named(
    { ...typed, ...ALLOCATOR_KERNELS, ...OPTIMIZER_KERNELS, ...FEW_ROWS_KERNELS, ...TOP_KERNELS },
    "_f32",
  ),
  ...named({ ...typed, ...BF16_ROW_KERNELS }, "_bf16"),
  ...named(
    {
      ...ALLOCATOR_SIZES,
      ...ATTENTION_SIZES,
      ...CHOSEN_ROWS_SIZES,
      ...LAYER_NORM_SIZES,
      ...LOW_RANK_SIZES,
      ...MATRIX_SIZES,
      ...MULTI_HEAD_SIZES,
      ...NARROW_SIZES,
      ...RMS_NORM_SIZES,
      ...PRODUCT_CALLS,
      ...BUS_ERRORS,
      ...TEAM_SYMBOLS,
    },
    "",
  ),
];

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
const defined = kernelUnits(kernels, "amx").flatMap(({ source, flags }) =>
  functionsOf(
    readFileSync(join(kernels, source), "utf8"),
    flags.includes("-DADL_BF16") ? "bf16" : "f32",
  ),
);

function functionsOf(source: string, type: "f32" | "bf16"): string[] {
  const excluded = {
    f32: /#ifdef ADL_BF16[\s\S]*?#endif/g,
    bf16: /#ifndef ADL_BF16[\s\S]*?#endif/g,
  };
  const head = /ADL_API (\w+) (?:ADL_ACT\((\w+)\)|(\w+))\(([^)]*)\)/g;
  return [...source.replaceAll(excluded[type], "").matchAll(head)].map(
    ([, result = "", activation, plain, parameters = ""]) => {
      const name = activation === undefined ? plain : `adl_${activation}_${type}`;
      const types = parameters === "void" ? [] : parameters.split(",").map(typeOf);
      return `${typeOf(result)} ${name}(${types.join(", ")})`;
    },
  );
}

// FFI checks nothing: an argument too few is a 0 in C, one of another type a wrong register.
test("every kernel is declared to FFI with the parameters that it has in C, and no other", () => {
  expect(declared.toSorted()).toEqual(defined.toSorted());
});
