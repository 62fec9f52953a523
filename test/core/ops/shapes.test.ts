import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { appendZeroRows, concatRows, firstRows } from "../../../core/ops/append-zero-rows.ts";
import { attention } from "../../../core/ops/attention.ts";
import { dropout } from "../../../core/ops/dropout.ts";
import { embedding } from "../../../core/ops/embedding.ts";
import { gatherRows } from "../../../core/ops/gather-rows.ts";
import { meanRows } from "../../../core/ops/mean-rows.ts";
import { unfold } from "../../../core/ops/unfold.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { uploadPacking, packSequences } from "../../../core/nn/packed-batch.ts";
import { tensor } from "../../helpers/tensors.ts";

type Op = (pass: ForwardPass, x: Tensor) => Tensor;

const mask = { probability: 0.5, seed: [1, 2], step: 0, site: 0 } as const;
const two = (pass: ForwardPass) => pass.integers([0, 1]);

function attended(pass: ForwardPass, x: Tensor): Tensor {
  const packing = uploadPacking(pass, packSequences([[1, 2]]));
  const shape = { queries: packing, keys: packing, heads: 1, headDim: 3, scale: 1 };
  const attrs = { shape: { ...shape, causal: false, dropout: undefined } };
  return attention(pass, { q: x, k: x, v: x }, attrs);
}

/** Ops that read rows and columns: with another axis their results would have too few elements. */
const ops: readonly (readonly [string, Op, string])[] = [
  ["dropout", (pass, x) => dropout(pass, { x }, { dropout: mask }), "x must be a matrix"],
  [
    "gatherRows",
    (pass, x) => gatherRows(pass, { table: x }, { ids: two(pass) }),
    "table must be a matrix",
  ],
  [
    "embedding",
    (pass, x) => embedding(pass, { table: x }, { ids: Int32Array.of(0), paddingId: -1, scale: 1 }),
    "table must be a matrix",
  ],
  ["firstRows", (pass, x) => firstRows(pass, { x }, { rows: 1 }), "x must be a matrix"],
  ["appendZeroRows", (pass, x) => appendZeroRows(pass, { x }, { rows: 1 }), "x must be a matrix"],
  ["concatRows", (pass, x) => concatRows(pass, { x, below: x }, {}), "x must be a matrix"],
  [
    "meanRows",
    (pass, x) => meanRows(pass, { x }, { offsets: Int32Array.of(0, 2) }),
    "x must be a matrix",
  ],
  [
    "unfold",
    (pass, x) => unfold(pass, { x }, { neighbours: two(pass), width: 1 }),
    "x must be a matrix",
  ],
  ["attention", attended, "q must be [2, 3]"],
];

function run(op: Op, shape: readonly number[]): () => void {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  return () => pass.scope(() => void op(pass, tensor(backend, shape, 1)));
}

test.each(ops)("%s refuses a tensor with a third axis", (name, op, rule) => {
  expect(run(op, [2, 3, 4])).toThrow(`[${name}] ${rule}: got`);
  expect(run(op, [2, 3, 4])).toThrow("[2, 3, 4]");
  expect(run(op, [2, 3])).not.toThrow();
});

test("firstRows refuses more rows than there are", () =>
  expect(run((pass, x) => firstRows(pass, { x }, { rows: 3 }), [2, 3])).toThrow(
    "[firstRows] x must have at least 3 rows: got x [2, 3]",
  ));
