import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type TokenBatch, packSequences, uploadPacking } from "../../../core/nn/packed-batch.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";

describe("packSequences", () => {
  test("packs sequences end to end, each with positions from 0", () => {
    expect(packSequences([[5, 6, 7], [8], [9, 10]])).toEqual({
      ids: Int32Array.of(5, 6, 7, 8, 9, 10),
      positions: Int32Array.of(0, 1, 2, 0, 0, 1),
      offsets: Int32Array.of(0, 3, 4, 6),
    });
  });

  test("packs segment ids too", () => {
    expect(packSequences([[5, 6], [7]], [[0, 1], [1]]).typeIds).toEqual(Int32Array.of(0, 1, 1));
  });
});

describe("uploadPacking", () => {
  const spanOf = (batch: TokenBatch) => {
    const backend = createReferenceBackend();
    const pass = new ForwardPass(backend, { training: false });
    let span = NaN;
    pass.scope(() => {
      const packing = uploadPacking(pass, batch);
      ({ span } = packing);
      expect(Array.from(backend.download(packing.offsets))).toEqual(Array.from(batch.offsets));
      expect(Array.from(backend.download(packing.positions))).toEqual(Array.from(batch.positions));
      expect(packing.sequences).toBe(batch.offsets.length - 1);
      expect(packing.tokens).toBe(batch.ids.length);
    });
    return span;
  };

  test("the span is that of the longest sequence, holes included", () => {
    expect(spanOf(packSequences([[1, 2, 3], [4]]))).toBe(3);
    const holes = { ...packSequences([[1, 2, 3], [4]]), positions: Int32Array.of(2, 3, 9, 40) };
    expect(spanOf(holes)).toBe(8); // 2 .. 9; the single token's own position does not count
  });

  test("single tokens have a span of 1", () => {
    expect(spanOf(packSequences([[1], [2]]))).toBe(1);
  });
});
