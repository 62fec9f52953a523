import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { charsmapFault } from "./charsmap.ts";
import { FLOAT, ProtobufError, VARINT, visitFields } from "./protobuf.ts";

/** Types of a piece, by their value in sentencepiece_model.proto. */
export const pieceType = { normal: 1, unknown: 2, control: 3, userDefined: 4 } as const;

/**
 * The parts of a sentencepiece model (`spm.model`) that a tokenizer is built from. The index in the
 * arrays is the token id.
 */
export interface SentencePieceModel {
  readonly pieces: readonly string[];
  /** Log-probabilities, float32 values. */
  readonly scores: readonly number[];
  readonly types: readonly number[];
  readonly unkId: number;
  /** The normalizer's compiled character map; empty when the model has none. */
  readonly charsmap: Uint8Array;
}

const modelTypes: Readonly<Record<number, string>> = {
  1: "unigram",
  2: "bpe",
  3: "word",
  4: "char",
};

const downloadAgain = "download the file again: its size or checksum should match the original's";

/**
 * Parses a sentencepiece model (protobuf `ModelProto`: pieces = 1, trainer_spec = 2,
 * normalizer_spec = 3). Throws E_FILE, naming `where`, on anything but a complete unigram model.
 */
export function parseSentencePiece(bytes: Uint8Array, where: string): SentencePieceModel {
  try {
    const model = readModel(bytes);
    checkModel(model, where);
    const { pieces, scores, types, unkId, charsmap } = model;
    return { pieces, scores, types, unkId, charsmap };
  } catch (error) {
    if (!(error instanceof ProtobufError)) throw error;
    throw errors.file(
      where,
      `not a complete sentencepiece model: ${error.message}`,
      downloadAgain,
      error,
    );
  }
}

/** The model with what only its check needs. */
interface RawModel extends SentencePieceModel {
  readonly modelType: number;
  /** Numbers of the top-level fields that the file holds. */
  readonly seenFields: ReadonlySet<number>;
}

function readModel(bytes: Uint8Array): RawModel {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pieces: string[] = [];
  const scores: number[] = [];
  const types: number[] = [];
  // proto2 defaults of optional fields
  let unkId = 0;
  let modelType = 1;
  let charsmap = new Uint8Array();
  const seenFields = new Set<number>();

  visitFields(bytes, 0, bytes.length, (section, start, end) => {
    if (end < 0) return;
    seenFields.add(section);
    if (section === 1) {
      let piece = "";
      let score = 0;
      let type: number = pieceType.normal;
      visitFields(bytes, start, end, (field, value, stop) => {
        if (field === 1 && stop >= 0) piece = buffer.toString("utf8", value, stop);
        else if (field === 2 && stop === FLOAT) score = value;
        else if (field === 3 && stop === VARINT) type = value;
      });
      pieces.push(piece);
      scores.push(score);
      types.push(type);
    } else if (section === 2) {
      visitFields(bytes, start, end, (field, value, stop) => {
        if (stop !== VARINT) return;
        if (field === 3) modelType = value;
        else if (field === 40) unkId = value;
      });
    } else if (section === 3) {
      visitFields(bytes, start, end, (field, value, stop) => {
        if (field === 2 && stop >= 0) charsmap = bytes.slice(value, stop);
      });
    }
  });
  return { pieces, scores, types, unkId, charsmap, modelType, seenFields };
}

// Real ones have 16 characters; the time for a text grows with the longest piece.
const MAX_PIECE_LENGTH = 1000;

/** Like sentencepiece itself, refuses a model with an empty piece or one piece twice. */
function checkPieces(pieces: readonly string[], where: string): void {
  const seen = new Set<string>();
  for (const [i, piece] of pieces.entries()) {
    const fault =
      piece === ""
        ? "is empty"
        : piece.length > MAX_PIECE_LENGTH
          ? `has ${piece.length} characters`
          : seen.has(piece)
            ? `repeats ${excerpt(piece)}`
            : undefined;
    if (fault !== undefined)
      throw errors.file(where, `damaged: piece ${i} ${fault}`, downloadAgain);
    seen.add(piece);
  }
}

/** Throws E_FILE when the model is incomplete, damaged or not a unigram model. */
function checkModel(model: RawModel, where: string): void {
  const { pieces, scores, unkId, charsmap, modelType, seenFields } = model;
  if (pieces.length === 0) {
    throw errors.file(where, "not a sentencepiece model: it holds no pieces");
  }
  if (!seenFields.has(2) || !seenFields.has(3)) {
    // The pieces come first: a file truncated between two of them would still parse.
    throw errors.file(
      where,
      "truncated: the trainer's and normalizer's settings are missing",
      downloadAgain,
    );
  }
  if (modelType !== 1) {
    const got = modelTypes[modelType] ?? String(modelType);
    throw errors.file(where, `the sentencepiece model must be of type unigram, got ${got}`);
  }
  const badIndex = scores.findIndex((score) => !Number.isFinite(score));
  if (badIndex >= 0) {
    const rule = `damaged: piece ${badIndex} has the score ${scores[badIndex]}`;
    throw errors.file(where, rule, downloadAgain);
  }
  checkPieces(pieces, where);
  if (unkId >= pieces.length) {
    throw errors.file(where, `unk_id ${unkId} is not one of the ${pieces.length} pieces`);
  }
  const fault = charsmap.length === 0 ? undefined : charsmapFault(charsmap);
  if (fault !== undefined) throw errors.file(where, `damaged: ${fault}`, downloadAgain);
}
