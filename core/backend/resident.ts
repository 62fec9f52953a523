import type { Backend, Buffer, HostTensor } from "../backend.ts";
import { createCountingBackend, elementBytes } from "./counting.ts";
import { POOL_FLOOR, POOL_SLACK, sizeClass } from "./size-classes.ts";

/** What a process on the CPU backend would hold of its memory. */
export interface Resident {
  /** Pages of the checkpoint's file that are used where they lie. */
  readonly file: number;
  /** The pool's blocks, those that wait included, at their highest. */
  readonly pool: number;
}

/** Smaller tensors are copied. */
const IN_PLACE_BYTES = 65_536;
/** Linux maps as much of a file around the page that is asked for. */
const FAULT_AROUND = 65_536;
/** Blocks that wait, over the highest sum of live ones, as far as the pool's floor lets them: seen with small models. */
const WAITING = 3.5;

/**
 * A counting backend that also follows what the CPU backend does with weights and blocks: it uses a file's pages in place, or packs a
 * bf16 copy of a matrix for each direction of its products and gives the pages back; of a table of which rows are gathered it reads
 * those alone; and its pool keeps freed blocks by size class.
 */
export function createResidentBackend(
  types: Pick<Backend, "activation" | "master">,
): Backend & { resident(): Resident } {
  const counting = createCountingBackend(types);
  const blocks = new Map<Buffer, number>();
  let [live, peak] = [0, 0];
  const grow = (bytes: number) => {
    live += sizeClass(bytes);
    peak = Math.max(peak, live);
  };
  const weights = adoptedWeights(counting, grow);

  return {
    ...counting,
    ...weights.entries,
    alloc(dtype, length) {
      const buffer = counting.alloc(dtype, length);
      const bytes = length * elementBytes[dtype];
      blocks.set(buffer, sizeClass(bytes));
      grow(bytes);
      return buffer;
    },
    free(buffer) {
      live -= blocks.get(buffer) ?? 0;
      blocks.delete(buffer);
      counting.free(buffer);
    },
    resident() {
      const waiting = Math.max((POOL_SLACK - 1) * peak, Math.min(POOL_FLOOR, WAITING * peak));
      return { file: weights.fileBytes(), pool: peak + waiting };
    },
  };
}

// --- internal ---

/** A checkpoint's tensor, and what was made of it. */
interface Adopted {
  readonly stored: HostTensor;
  readonly inPlace: boolean;
  /** Copies in another layout or type: each is made once. */
  readonly copies: Set<string>;
  /** Parts of the file that rows were read of. */
  readonly parts: Set<number>;
  whole: boolean;
}

const sourceBytes: Readonly<Record<string, number>> = { F16: 2, BF16: 2, F32: 4, F64: 8, I64: 8 };
const storedAs: Readonly<Record<string, string>> = { f32: "F32", bf16: "BF16" };

/** Entries that make or read weights; `grow` hears of blocks that are made for them. */
function adoptedWeights(counting: Backend, grow: (bytes: number) => void) {
  const adopted = new Map<Buffer, Adopted>();
  const integers = new WeakMap<Buffer, ArrayLike<number>>();

  const readWhole = (buffer: Buffer, layout: string) => {
    const weight = adopted.get(buffer);
    if (!weight?.inPlace || weight.copies.has(layout)) return;
    if (buffer.dtype !== "bf16") weight.whole = true;
    else {
      weight.copies.add(layout);
      grow(buffer.length * elementBytes.bf16);
    }
  };

  const entries: Pick<Backend, "adopt" | "upload" | "copy" | "gemm" | "gatherRows"> = {
    adopt(stored, dtype) {
      const buffer = counting.adopt(stored, dtype);
      const large = stored.bytes.byteLength >= IN_PLACE_BYTES;
      const inPlace = large && (dtype === "bf16" || stored.dtype === storedAs[dtype]);
      if (!inPlace) grow(buffer.length * elementBytes[dtype]);
      const whole = large && !inPlace;
      adopted.set(buffer, { stored, inPlace, whole, copies: new Set(), parts: new Set() });
      return buffer;
    },
    upload(to, from) {
      if (to.dtype === "i32") integers.set(to, from);
    },
    copy: (_to, from) => readWhole(from, "plain"),
    gemm: (_a, b, _c, { transB = false }) => readWhole(b, `packed, ${transB}`),
    gatherRows(table, ids, _y, { cols }) {
      const weight = adopted.get(table);
      const rows = integers.get(ids);
      if (!weight?.inPlace || !rows) return;
      const bytes = cols * (sourceBytes[weight.stored.dtype] ?? 4);
      for (let i = 0; i < rows.length; i++) {
        const first = rows[i]! * bytes;
        for (const at of [first, first + bytes - 1])
          weight.parts.add(Math.floor(at / FAULT_AROUND));
      }
    },
  };

  const fileBytes = () =>
    [...adopted.values()].reduce((sum, { stored, whole, parts }) => {
      const bytes = stored.bytes.byteLength;
      return sum + (whole ? bytes : Math.min(bytes, parts.size * FAULT_AROUND));
    }, 0);

  return { entries, fileBytes };
}
