import { closeAll } from "./close-all.ts";
import type { ProductOperand, ProductSizes } from "./cublas.ts";

/** Most plans that are kept: the number of rows, and so the shapes, differ from step to step. */
const MOST_PLANS = 4096;

/** The largest alignment, in bytes, that an algorithm may require. */
const MOST_ALIGNMENT = 256;

/** The largest power of two, up to 256, that divides an address. */
export function alignmentOf(address: number): number {
  const low = address - Math.floor(address / MOST_ALIGNMENT) * MOST_ALIGNMENT;
  return low === 0 ? MOST_ALIGNMENT : low & -low;
}

/** A product: its sizes, its operands and result, and the address of its bias, if any. */
export type Product = readonly [
  sizes: ProductSizes,
  a: ProductOperand,
  b: ProductOperand,
  c: Omit<ProductOperand, "transposed">,
  bias?: number | undefined,
];

/** A plan and all that it depends on. */
interface Entry<Plan> {
  readonly plan: Plan;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly lda: number;
  readonly ldb: number;
  readonly ldc: number;
  readonly form: number;
  /** Whether it has been found since it was made or spared. */
  used: boolean;
}

/**
 * Makes the plan of a product at its first use, and keeps it by shape and alignments. A step looks up
 * some 170 plans: for speed, numbers are hashed and compared, and no key is built. Where there is no
 * room for another plan, the oldest that has not been used again is freed: those that every step
 * needs stay, and a lookup only sets a flag.
 */
export function planCache<Plan>(
  make: (...product: Product) => Plan,
  free: (plan: Plan) => void,
  hash = hashOf,
) {
  /** By hash, or by the next free number. Behind the slot of a freed plan, one is made again. */
  const entries = new Map<number, Entry<Plan>>();

  /** Frees the oldest plan that has not been used; one that has been becomes the newest. */
  function freeUnused() {
    for (const [slot, entry] of entries) {
      entries.delete(slot);
      if (!entry.used) return free(entry.plan);
      entry.used = false;
      entries.set(slot, entry); // at the end, where this loop gets last
    }
  }

  return {
    find(
      sizes: ProductSizes,
      a: ProductOperand,
      b: ProductOperand,
      c: Product[3],
      bias?: number,
    ): Plan {
      const { m, n, k } = sizes;
      const form = formOf(sizes.beta, a, b, c, bias);
      let slot = hash(form, m, n, k);
      for (;;) {
        const entry = entries.get(slot);
        if (entry === undefined) break;
        const sameSizes = entry.m === m && entry.n === n && entry.k === k;
        const sameRows = entry.lda === a.ld && entry.ldb === b.ld && entry.ldc === c.ld;
        if (sameSizes && sameRows && entry.form === form) {
          entry.used = true;
          return entry.plan;
        }
        slot = (slot + 1) | 0;
      }
      if (entries.size >= MOST_PLANS) freeUnused();
      const plan = make(sizes, a, b, c, bias);
      entries.set(slot, { plan, m, n, k, lda: a.ld, ldb: b.ld, ldc: c.ld, form, used: false });
      return plan;
    },
    /** Frees all plans. */
    close() {
      const plans = [...entries.values()];
      entries.clear();
      closeAll(
        plans.map(
          ({ plan }) =>
            () =>
              free(plan),
        ),
      );
    },
  };
}

/** Beta, types, transpositions and alignments as the bits of an integer. */
function formOf(
  beta: 0 | 1,
  a: ProductOperand,
  b: ProductOperand,
  c: Product[3],
  bias: number | undefined,
): number {
  let form = 2 * beta + Number(c.type === "bf16");
  form = 4 * form + 2 * Number(a.transposed) + Number(a.type === "bf16");
  form = 4 * form + 2 * Number(b.transposed) + Number(b.type === "bf16");
  form = 16 * form + alignmentBits(a.pointer);
  form = 16 * form + alignmentBits(b.pointer);
  form = 16 * form + alignmentBits(c.pointer);
  return 16 * form + (bias === undefined ? 0 : alignmentBits(bias));
}

/** Four bits that differ by alignment; 0 is none. */
const alignmentBits = (address: number) => 32 - Math.clz32(alignmentOf(address));

/** A 32-bit hash; leading dimensions seldom differ where sizes don't. */
function hashOf(form: number, m: number, n: number, k: number): number {
  let hash = Math.imul(form ^ Math.imul(m, 0x9e37_79b1), 0x85eb_ca77);
  hash = Math.imul(hash ^ (hash >>> 15) ^ n, 0xc2b2_ae3d);
  hash = Math.imul(hash ^ (hash >>> 13) ^ k, 0x27d4_eb2f);
  return hash ^ (hash >>> 16);
}
