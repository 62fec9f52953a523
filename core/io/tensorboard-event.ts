/** CRC-32C (Castagnoli), reflected polynomial 0x82f63b78: one table entry per byte value. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** The CRC-32C checksum of some bytes. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) {
    crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** The checksum as TFRecord stores it: rotated right by 15 bits, plus a constant. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

// Protobuf wire types.
const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

// Field numbers of tensorflow.Event, .Summary and .Summary.Value.
const EVENT = { wallTime: 1, step: 2, fileVersion: 3, summary: 5 };
const SUMMARY = { value: 1 };
const VALUE = { tag: 1, simpleValue: 2 };

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

const fieldKey = (field: number, wire: number) => varint((field << 3) | wire);

function lengthDelimited(field: number, content: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from([...fieldKey(field, BYTES), ...varint(content.length)]),
    content,
  ]);
}

function fixedField(field: number, wire: typeof FIXED64 | typeof FIXED32, value: number): Buffer {
  const out = Buffer.from([
    ...fieldKey(field, wire),
    ...Array.from({ length: wire === FIXED64 ? 8 : 4 }, () => 0),
  ]);
  if (wire === FIXED64) out.writeDoubleLE(value, 1);
  else out.writeFloatLE(value, 1);
  return out;
}

/** A TFRecord: length u64, its checksum, the data, their checksum. */
function toRecord(data: Uint8Array): Buffer {
  const head = Buffer.alloc(12);
  head.writeBigUInt64LE(BigInt(data.length));
  head.writeUInt32LE(maskedCrc(head.subarray(0, 8)), 8);
  const tail = Buffer.alloc(4);
  tail.writeUInt32LE(maskedCrc(data));
  return Buffer.concat([head, data, tail]);
}

/** The first record of an event file; `seconds` since 1970. */
export function versionRecord(seconds: number): Buffer {
  const version = lengthDelimited(EVENT.fileVersion, Buffer.from("brain.Event:2"));
  return toRecord(Buffer.concat([fixedField(EVENT.wallTime, FIXED64, seconds), version]));
}

/** The record of one scalar, stored as float32; `seconds` since 1970. */
export function scalarRecord(seconds: number, step: number, tag: string, value: number): Buffer {
  const content = Buffer.concat([
    lengthDelimited(VALUE.tag, Buffer.from(tag)),
    fixedField(VALUE.simpleValue, FIXED32, value),
  ]);
  return toRecord(
    Buffer.concat([
      fixedField(EVENT.wallTime, FIXED64, seconds),
      Buffer.from([...fieldKey(EVENT.step, VARINT), ...varint(step)]),
      lengthDelimited(EVENT.summary, lengthDelimited(SUMMARY.value, content)),
    ]),
  );
}

/** Value and size of the varint at `at`; undefined when it runs past the end. */
function readVarint(bytes: Uint8Array, at: number): { value: number; size: number } | undefined {
  let value = 0;
  for (let size = 1; size <= 10 && at + size <= bytes.length; size++) {
    const byte = bytes[at + size - 1]!;
    value += (byte & 0x7f) * 2 ** (7 * (size - 1));
    if (byte < 0x80) return { value, size };
  }
  return undefined;
}

/** A field of a protobuf message: its number, and its number or bytes. */
interface Field {
  readonly field: number;
  /** The value of a varint; undefined for a field of another type. */
  readonly varint: number | undefined;
  /** The content of a length-delimited field; undefined for a field of another type. */
  readonly bytes: Uint8Array | undefined;
}

/** The fields of a message; undefined when the bytes are not a message. */
function fieldsOf(message: Uint8Array): readonly Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < message.length;) {
    const key = readVarint(message, at);
    if (key === undefined) return undefined;
    at += key.size;
    const [field, wire] = [Math.floor(key.value / 8), key.value % 8];
    const number = wire === VARINT || wire === BYTES ? readVarint(message, at) : undefined;
    if (number !== undefined) {
      const start = at + number.size;
      const isBytes = wire === BYTES;
      at = start + (isBytes ? number.value : 0);
      const bytes = isBytes ? message.subarray(start, at) : undefined;
      fields.push({ field, varint: isBytes ? undefined : number.value, bytes });
    } else if (wire === FIXED64 || wire === FIXED32) {
      at += wire === FIXED64 ? 8 : 4;
    } else {
      return undefined;
    }
  }
  return fields;
}

/** The content of the first field with a number; undefined when there is none. */
const bytesOf = (message: Uint8Array | undefined, number: number) =>
  message && fieldsOf(message)?.find(({ field }) => field === number)?.bytes;

/**
 * The step of an Event message, 0 (protobuf's default) when absent, and the tag of its scalar;
 * undefined when the bytes are not an Event.
 */
function eventOf(event: Uint8Array): { step: number; tag: string | undefined } | undefined {
  const fields = fieldsOf(event);
  if (fields === undefined) return undefined;
  const step = fields.findLast((one) => one.field === EVENT.step && one.varint !== undefined);
  const summary = fields.find(({ field }) => field === EVENT.summary)?.bytes;
  const tag = bytesOf(bytesOf(summary, SUMMARY.value), VALUE.tag);
  return { step: step?.varint ?? 0, tag: tag && new TextDecoder().decode(tag) };
}

/** A complete record of an event file. */
export interface EventRecord {
  readonly step: number;
  /** The tag of its scalar; undefined for the version record. */
  readonly tag: string | undefined;
  /** Offset of the byte after the record. */
  readonly end: number;
}

/** The complete records of an event file. Stops at the first torn or damaged record. */
export function* wholeRecords(file: Uint8Array): Generator<EventRecord> {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  for (let at = 0; at + 16 <= file.length;) {
    const size = Number(view.getBigUint64(at, true));
    const end = at + 16 + size;
    if (end > file.length) return;
    if (view.getUint32(at + 8, true) !== maskedCrc(file.subarray(at, at + 8))) return;
    const data = file.subarray(at + 12, at + 12 + size);
    if (view.getUint32(end - 4, true) !== maskedCrc(data)) return;
    const event = eventOf(data);
    if (event === undefined) return;
    yield { ...event, end };
    at = end;
  }
}
