import { errors } from "../errors.ts";
import { attemptRow, type RowObserver } from "./row-observer.ts";
import type { TextRecord } from "./table.ts";

const quote = 0x22;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/**
 * Records of RFC 4180, separated by `delimiter`, one character: a field that begins with a quote
 * extends to its closing quote, line breaks and delimiters included, and a doubled quote inside it
 * is one quote. A quote elsewhere in a field is an ordinary character. Throws E_FILE at the line of
 * an unclosed quote, or of text after a closing quote.
 */
export function* csvRecords(
  text: string,
  name: string,
  delimiter = ",",
  observer?: RowObserver,
): Generator<TextRecord> {
  const separator = delimiter.charCodeAt(0);
  const cursor: Cursor = { text, name, separator, offset: 0, line: 1 };
  while (cursor.offset < text.length) {
    const line = cursor.line;
    const isQuoted = text.charCodeAt(cursor.offset) === quote;
    const fields = attemptRow(() => nextFields(cursor), observer);
    if (fields === undefined) skipLine(cursor);
    else endLine(cursor);
    if (fields !== undefined) yield { line, fields, ...(isQuoted && { isQuoted }) };
  }
}

interface Cursor {
  readonly text: string;
  readonly name: string;
  /** The character code of the delimiter. */
  readonly separator: number;
  offset: number;
  line: number;
}

function nextFields(cursor: Cursor): string[] {
  const fields = [nextField(cursor)];
  while (cursor.text.charCodeAt(cursor.offset) === cursor.separator) {
    cursor.offset++;
    fields.push(nextField(cursor));
  }
  return fields;
}

/** Continues after the line of a field that can't be read. */
function skipLine(cursor: Cursor): void {
  const end = cursor.text.indexOf("\n", cursor.offset);
  cursor.offset = end === -1 ? cursor.text.length : end + 1;
  cursor.line++;
}

function nextField(cursor: Cursor): string {
  return cursor.text.charCodeAt(cursor.offset) === quote ? quotedField(cursor) : plainField(cursor);
}

function plainField(cursor: Cursor): string {
  const { text, separator } = cursor;
  const start = cursor.offset;
  let offset = start;
  while (offset < text.length) {
    const char = text.charCodeAt(offset);
    if (char === separator || char === lineFeed || isLineEnd(text, offset)) break;
    offset++;
  }
  cursor.offset = offset;
  return text.slice(start, offset);
}

function quotedField(cursor: Cursor): string {
  const { text, name } = cursor;
  const startLine = cursor.line;
  const start = cursor.offset + 1;
  let close = text.indexOf('"', start);
  while (close !== -1 && text.charCodeAt(close + 1) === quote) close = text.indexOf('"', close + 2);
  if (close === -1) {
    throw errors.file(`${name}:${startLine}`, "a quoted field starts here and is never closed");
  }
  cursor.offset = close + 1;
  const content = text.slice(start, close).replaceAll('""', '"');
  for (let i = content.indexOf("\n"); i !== -1; i = content.indexOf("\n", i + 1)) cursor.line++;
  checkFieldEnd(cursor);
  return content;
}

function checkFieldEnd({ text, name, separator, offset, line }: Cursor): void {
  const char = text.charCodeAt(offset);
  const isLast = offset >= text.length || char === lineFeed || isLineEnd(text, offset);
  if (isLast || char === separator) return;
  throw errors.file(
    `${name}:${line}`,
    `text after a closing quote: got ${JSON.stringify(text.slice(offset, offset + 10))}`,
    "double each quote inside a quoted field",
  );
}

function isLineEnd(text: string, offset: number): boolean {
  return text.charCodeAt(offset) === carriageReturn && text.charCodeAt(offset + 1) === lineFeed;
}

function endLine(cursor: Cursor): void {
  if (isLineEnd(cursor.text, cursor.offset)) cursor.offset++;
  cursor.offset++;
  cursor.line++;
}
