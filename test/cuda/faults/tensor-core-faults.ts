import { BARRIER, type PlantedFault } from "./planted-fault.ts";

const inFlash = (
  file: string,
  fault: Pick<PlantedFault, "what" | "find" | "replace" | "cases">,
): PlantedFault => ({
  file: `kernels/${file}`,
  family: fault.cases.startsWith("disentangled") ? "flash-disentangled" : "flash-multi-head",
  test: "conformance-bf16.test.ts",
  ...fault,
});

/** Faults in the kernels of attention on tensor cores. */
export const tensorCoreFaults: readonly PlantedFault[] = [
  inFlash("flash-multi-head.h", {
    what: "keys are read before all threads have copied theirs",
    find: `${BARRIER} /* the keys have landed */`,
    replace: "",
    cases: "attention ",
  }),
  inFlash("flash-multi-head.h", {
    what: "keys are overwritten before they are read",
    find: `${BARRIER} /* the keys have been read */`,
    replace: "",
    cases: "attention window",
  }),
  inFlash("flash-multi-head.h", {
    what: "values are overwritten before they are read",
    find: `${BARRIER} /* the values have been read */`,
    replace: "",
    cases: "attention window",
  }),
  inFlash("flash-multi-head.h", {
    what: "values are read before their copies land",
    find: `wait_copies<1>();\n    ${BARRIER} /* the values`,
    replace: `${BARRIER} /* the values`,
    cases: "attention ",
  }),
  inFlash("flash-multi-head.h", {
    what: "backward reads a tile before its copies land",
    find: `wait_copies<1>();\n    ${BARRIER} /* the tiles have landed */`,
    replace: BARRIER,
    cases: "attentionBackward ",
  }),
  inFlash("flash-multi-head.h", {
    what: "backward overwrites a tile before it is read",
    find: `${BARRIER} /* the tiles have been read */`,
    replace: "",
    cases: "attentionBackward window",
  }),
  inFlash("flash-multi-head.h", {
    what: "tiles at the edge of a window are not masked",
    find: "visible_keys(s, b, last_query).from <= key",
    replace: "true",
    cases: "attention window",
  }),
  inFlash("flash-tiles.h", {
    what: "a fragment of the right operand has the wrong rows",
    find: "right_row = b_row + me.lane / 16 * 8",
    replace: "right_row = b_row + me.lane / 8 % 2 * 8",
    cases: "attention ",
  }),
  inFlash("flash-tiles.h", {
    what: "the halves of a left operand are exchanged",
    find: "pack_bf16(low[2], low[3])",
    replace: "pack_bf16(high[2], high[3])",
    cases: "attention ",
  }),
  inFlash("flash-tiles.h", {
    what: "unaligned rows are copied 16 bytes at a time",
    find: "bits % 16 == 0 && dim % 8 == 0",
    replace: "dim % 8 == 0",
    cases: "attention ",
  }),
  inFlash("flash-softmax.h", {
    what: "lanes draw each other's words of dropout",
    find: "words[2] = odd ? mine.words[2] : low;",
    replace: "words[2] = odd ? low : mine.words[2];",
    cases: "attention one key head",
  }),
  inFlash("flash-softmax.h", {
    what: "a key gets its neighbour's words of dropout",
    find: "words[i] = word_of(found, own ^ i)",
    replace: "words[i] = word_of(found, i)",
    cases: "attentionBackward one key head",
  }),
  inFlash("flash-positions.h", {
    what: "other warps' products are read before they are written",
    find: `${BARRIER} /* all products are there */`,
    replace: "",
    cases: "disentangledAttentionBackward buckets",
  }),
  inFlash("flash-positions.h", {
    what: "other warps' products are overwritten before they are read",
    find: `${BARRIER} /* the products have been read */`,
    replace: "",
    cases: "disentangledAttentionBackward buckets",
  }),
  inFlash("flash-positions.h", {
    what: "gradients beside a row's window are not cleared",
    find: "window[zero_row * PITCH + column] = {0};",
    replace: "",
    cases: "disentangledAttentionBackward dropout",
  }),
  inFlash("flash-disentangled.cu", {
    what: "the tables' gradients read other warps' rows before they are written",
    find: `${BARRIER} /* all warps' gradients are there */`,
    replace: "",
    cases: "disentangledAttentionBackward ",
  }),
  inFlash("flash-disentangled.cu", {
    what: "a distance's upper half is left out of the tables' gradients",
    find: "upper < 2",
    replace: "upper < 1",
    cases: "disentangledAttentionBackward ",
  }),
];
