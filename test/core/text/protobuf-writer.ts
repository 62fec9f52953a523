/** A varint. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 127) {
    bytes.push((rest % 128) | 128);
    rest = Math.floor(rest / 128);
  }
  return [...bytes, rest];
}

/** A field with text, bytes or a message. */
export function bytesField(
  field: number,
  content: string | Uint8Array | readonly number[],
): number[] {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  return [...varint(field * 8 + 2), ...varint(bytes.length), ...bytes];
}

/** A varint field. */
export const numberField = (field: number, value: number) => [
  ...varint(field * 8),
  ...varint(value),
];

/** A 32-bit float field. */
export const floatField = (field: number, value: number) => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(new Float32Array([value]).buffer),
];

/** A piece of a sentencepiece model; type 1, the format's default, is omitted. */
export function pieceField(piece: string, score: number, type = 1): number[] {
  const kind = type === 1 ? [] : numberField(3, type);
  return bytesField(1, [...bytesField(1, piece), ...floatField(2, score), ...kind]);
}

/** Parts of a sentencepiece model. */
export interface ModelParts {
  readonly pieces: readonly (readonly [piece: string, score: number, type?: number])[];
  readonly unkId?: number;
  readonly modelType?: number;
  readonly charsmap?: Uint8Array;
}

/** A sentencepiece model. */
export function sentencePieceBytes({ pieces, unkId, modelType, charsmap }: ModelParts): Uint8Array {
  const trainer = [
    ...(modelType === undefined ? [] : numberField(3, modelType)),
    ...(unkId === undefined ? [] : numberField(40, unkId)),
  ];
  const normalizer = charsmap === undefined ? [] : bytesField(2, charsmap);
  return Uint8Array.from([
    ...pieces.flatMap(([piece, score, type]) => pieceField(piece, score, type)),
    ...bytesField(2, trainer),
    ...bytesField(3, normalizer),
  ]);
}
