import { describe, expect, test } from "bun:test";
import { parseSentencePiece } from "../../../core/text/sentencepiece.ts";
import { bytesField, numberField, sentencePieceBytes } from "./protobuf-writer.ts";

const pieces = [
  ["[PAD]", 0, 3],
  ["[UNK]", 0, 2],
  ["▁the", -1.5],
  ["é", -2.25, 4],
] as const;

describe("parseSentencePiece", () => {
  test("reads pieces, scores, types, the unknown id and the character map", () => {
    const texts = new TextEncoder().encode("a\0");
    // a trie of one block: 256 units without children
    const charsmap = Uint8Array.from([0, 4, 0, 0, ...new Uint8Array(1024), ...texts]);
    const bytes = sentencePieceBytes({ pieces, unkId: 1, modelType: 1, charsmap });
    expect(parseSentencePiece(bytes, "spm.model")).toEqual({
      pieces: ["[PAD]", "[UNK]", "▁the", "é"],
      scores: [0, 0, -1.5, -2.25],
      types: [3, 2, 1, 4],
      unkId: 1,
      charsmap,
    });
  });

  test("omitted fields have the format's defaults: unk_id 0, unigram, no character map", () => {
    const model = parseSentencePiece(sentencePieceBytes({ pieces }), "spm.model");
    expect([model.unkId, model.charsmap.length]).toEqual([0, 0]);
  });

  test("unknown fields of every wire type are skipped", () => {
    const fixed64 = [0xc1, 4, 1, 2, 3, 4, 5, 6, 7, 8]; // field 72, wire type 1
    const unknown = [...numberField(70, 300), ...bytesField(71, "x"), ...fixed64];
    const bytes = Uint8Array.from([...sentencePieceBytes({ pieces, unkId: 1 }), ...unknown]);
    expect(parseSentencePiece(bytes, "spm.model").unkId).toBe(1);
  });

  const whole = sentencePieceBytes({ pieces, unkId: 1 });
  test.each([
    ["nothing", new Uint8Array(), "spm.model: not a sentencepiece model: it holds no pieces"],
    [
      "text",
      new TextEncoder().encode("<!DOCTYPE html>"),
      "spm.model: not a complete sentencepiece model: byte 0: unknown wire type 4",
    ],
    [
      "a file truncated inside a piece",
      whole.subarray(0, 20),
      "spm.model: not a complete sentencepiece model: byte 18: a field of 14 bytes, but only 2 are left",
    ],
    [
      "a file truncated between two pieces",
      whole.subarray(0, sentencePieceBytes({ pieces: pieces.slice(0, 2) }).length - 4),
      "spm.model: truncated: the trainer's and normalizer's settings are missing",
    ],
    [
      "a BPE model",
      sentencePieceBytes({ pieces, modelType: 2 }),
      "spm.model: the sentencepiece model must be of type unigram, got bpe",
    ],
    [
      "an unknown id that is not a piece",
      sentencePieceBytes({ pieces, unkId: 4 }),
      "spm.model: unk_id 4 is not one of the 4 pieces",
    ],
    [
      "a score that is not a number",
      sentencePieceBytes({ pieces: [...pieces, ["x", Number.NaN]] }),
      "spm.model: damaged: piece 4 has the score NaN",
    ],
    [
      "a truncated character map",
      sentencePieceBytes({ pieces, charsmap: Uint8Array.of(0, 4, 0, 0, 1, 2) }),
      "spm.model: damaged: its character map of 6 bytes is truncated",
    ],
  ])("%s is an error that names the file and the rule", (_what, bytes, message) => {
    expect(() => parseSentencePiece(bytes, "spm.model")).toThrow(
      expect.objectContaining({ code: "E_FILE", message }),
    );
  });
});
