import { expect, test } from "bun:test";
import type { ProductOperand } from "../../ffi/cuda/cublas.ts";
import { planCache, type Product } from "../../ffi/cuda/plan-cache.ts";

const BASE = 2 ** 46;

const operand: ProductOperand = { pointer: BASE, type: "f32", ld: 64, transposed: false };
const sizes = { m: 33, n: 48, k: 40, beta: 0 } as const;
const product: Product = [sizes, operand, operand, operand, undefined];

/** Products that differ from `product`, and from each other, in one number. */
const OTHERS: readonly Product[] = [
  ...[{ m: 34 }, { n: 49 }, { k: 41 }, { beta: 1 } as const].map((one): Product => [
    { ...sizes, ...one },
    operand,
    operand,
    operand,
    undefined,
  ]),
  ...[{ ld: 65 }, { transposed: true }, { type: "bf16" } as const, { pointer: BASE + 2 }].flatMap(
    (one): Product[] => {
      const other = { ...operand, ...one };
      const ofC: Product = [sizes, operand, operand, other, undefined];
      const factors: Product[] = [
        [sizes, other, operand, operand, undefined],
        [sizes, operand, other, operand, undefined],
      ];
      return "transposed" in one ? factors : [...factors, ofC];
    },
  ),
  [sizes, operand, operand, operand, BASE],
  [sizes, operand, operand, operand, BASE + 4],
];

test.each([undefined, () => 0])("whatever a plan depends on tells it apart: hash %p", (hash) => {
  let made = 0;
  const cache = planCache(
    () => made++,
    () => {},
    hash,
  );
  const all = [product, ...OTHERS];
  for (let again = 0; again < 2; again++)
    expect(all.map((each) => cache.find(...each))).toEqual(all.map((_, i) => i));
  // What it does not depend on: addresses of the same alignment.
  const moved = { ...operand, pointer: BASE + 512 };
  expect(cache.find(sizes, moved, moved, moved)).toBe(0);
});

/** A cache of plans that are their products' rows, and the rows of those that it has freed. */
function recordingCache() {
  const freed: number[] = [];
  const cache = planCache(
    ({ m }) => m,
    (plan) => void freed.push(plan),
  );
  const find = (m: number) => cache.find({ ...sizes, m }, operand, operand, operand);
  return { freed, find, close: () => cache.close() };
}

test("the oldest plan makes room for a new one, and all are freed in the end", () => {
  const { freed, find, close } = recordingCache();
  for (let m = 1; m <= 4098; m++) find(m);
  expect(freed).toEqual([1, 2]);
  expect(find(1)).toBe(1);
  expect(freed).toEqual([1, 2, 3]);
  close();
  // That of 1 has been made twice.
  const expected = [1, 1, ...Array.from({ length: 4097 }, (_, i) => i + 2)];
  expect(freed.toSorted((a, b) => a - b)).toEqual(expected);
});

test("a plan that is used again and again stays, however many others are made", () => {
  const { freed, find } = recordingCache();
  for (let m = 1; m <= 2 * 4096; m++) {
    find(m);
    find(2);
  }
  expect(freed).not.toContain(2);
  expect(freed.slice(0, 3)).toEqual([1, 3, 4]);
});

test("where every plan has been used, the oldest makes room", () => {
  const { freed, find } = recordingCache();
  for (let again = 0; again < 2; again++) for (let m = 1; m <= 4096; m++) find(m);
  find(4097);
  find(4098);
  expect(freed).toEqual([1, 2]);
});
