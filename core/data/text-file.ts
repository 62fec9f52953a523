import { errors } from "../errors.ts";

// The longest JavaScript string in UTF-16 units; UTF-8 text never has more units than bytes.
const maxTextBytes = 2 ** 31 - 1;

/**
 * Decodes UTF-8 strictly and drops a byte order mark. Throws E_FILE with line and offset of the
 * first invalid byte.
 */
export function decodeText(bytes: Uint8Array, name: string): string {
  if (bytes.length > maxTextBytes) {
    throw errors.file(
      name,
      `is too large: ${bytes.length} bytes, at most ${maxTextBytes}`,
      "split it",
    );
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw notUtf8(bytes, name, cause);
  }
}

function notUtf8(bytes: Uint8Array, name: string, cause: unknown) {
  const offset = firstBadByte(bytes);
  let line = 1;
  for (let i = 0; i < offset; i++) if (bytes[i] === 0x0a) line++;
  const isUtf16 =
    (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  const byte = (bytes[offset] ?? 0).toString(16).padStart(2, "0");
  return errors.file(
    `${name}:${line}`,
    `byte 0x${byte} at offset ${offset} is not valid UTF-8`,
    `the file looks like ${isUtf16 ? "UTF-16" : "a legacy encoding"}: convert it, for example with iconv`,
    cause,
  );
}

/** Finds the first U+FFFD of a lenient decoding that is not an encoded U+FFFD (EF BF BD). */
function firstBadByte(bytes: Uint8Array): number {
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  let offset = 0;
  for (const char of text) {
    const codePoint = char.codePointAt(0) ?? 0;
    if (
      codePoint === 0xfffd &&
      !(bytes[offset] === 0xef && bytes[offset + 1] === 0xbf && bytes[offset + 2] === 0xbd)
    ) {
      return offset;
    }
    offset += codePoint < 0x80 ? 1 : codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
  }
  return offset;
}
