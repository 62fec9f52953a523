import type { Backend, Buffer, HostTensor } from "../../core/backend.ts";
import { createCountingBackend, elementBytes } from "../../core/backend/counting.ts";
import { placedBlocks } from "../../core/backend/placed-blocks.ts";

/** The resident memory of a process on the CPU backend, in bytes. */
export interface Resident {
  /** Pages of the checkpoint's file that are used in place. */
  readonly file: number;
  /** The pool's pages: the highest end of any block so far. */
  readonly pool: number;
}

/** Smaller tensors are copied. */
const IN_PLACE_BYTES = 65_536;
/** Linux maps this many bytes of a file around a faulting page. */
const FAULT_AROUND = 65_536;

/**
 * Creates a counting backend that also models how the CPU backend stores weights and blocks: it
 * uses a file's pages in place, or packs a bf16 copy of a matrix per direction of its products and
 * releases the pages; from a table it reads only the gathered rows; and its blocks lie where the
 * pool would put them.
 */
export function createResidentBackend(
  types: Pick<Backend, "activation" | "master">,
): Backend & { resident(): Resident } {
  const counting = createCountingBackend(types);
  const blocks = placedBlocks(counting);
  const weights = adoptedWeights(counting, blocks.place);

  return {
    ...counting,
    ...weights.entries,
    ...blocks.entries,
    resident: () => ({ file: weights.fileBytes(), pool: blocks.reached() }),
  };
}

// --- internal ---

/** A checkpoint's tensor and its copies. */
interface Adopted {
  readonly stored: HostTensor;
  readonly inPlace: boolean;
  /** Layouts and dtypes of its copies: each is made once. */
  readonly copies: Set<string>;
  /** Fault-around blocks of the tensor from which rows were read. */
  readonly parts: Set<number>;
  whole: boolean;
}

const sourceBytes: Readonly<Record<string, number>> = { F16: 2, BF16: 2, F32: 4, F64: 8, I64: 8 };
const storedAs: Readonly<Record<string, string>> = { f32: "F32", bf16: "BF16" };

/** The entries that adopt or read weights; `place` allocates the blocks of their copies. */
function adoptedWeights(counting: Backend, place: (bytes: number) => void) {
  const adopted = new Map<Buffer, Adopted>();
  const integers = new WeakMap<Buffer, ArrayLike<number>>();

  const readWhole = (buffer: Buffer, layout: string) => {
    const weight = adopted.get(buffer);
    if (!weight?.inPlace || weight.copies.has(layout)) return;
    if (buffer.dtype !== "bf16") weight.whole = true;
    else {
      weight.copies.add(layout);
      place(buffer.length * elementBytes.bf16);
    }
  };

  const entries: Pick<Backend, "adopt" | "upload" | "copy" | "gemm" | "gatherRows"> = {
    adopt(stored, dtype) {
      const buffer = counting.adopt(stored, dtype);
      const large = stored.bytes.byteLength >= IN_PLACE_BYTES;
      const inPlace = large && (dtype === "bf16" || stored.dtype === storedAs[dtype]);
      if (!inPlace) place(buffer.length * elementBytes[dtype]);
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
