import { errors } from "../../core/errors.ts";

/** Symbol versions of an ELF file, such as "GLIBC_2.27". */
export interface SymbolVersions {
  /** Versions that it needs from other libraries. */
  readonly needed: ReadonlySet<string>;
  /** Versions that it defines. */
  readonly defined: ReadonlySet<string>;
}

const VERSIONS_DEFINED = 0x6ffffffd; // SHT_GNU_verdef
const VERSIONS_NEEDED = 0x6ffffffe; // SHT_GNU_verneed

/** Whether a file is a 64-bit little-endian ELF file. */
export const isElf = (file: Buffer) => file.subarray(0, 6).equals(Buffer.from("\x7fELF\x02\x01"));

/** Reads the symbol versions from the sections of an ELF file. Throws E_FILE for other files. */
export function symbolVersions(file: Buffer, name: string): SymbolVersions {
  if (!isElf(file)) throw errors.file(name, "is not a 64-bit ELF file");
  const needed = new Set<string>();
  const defined = new Set<string>();
  const sections = sectionsOf(file);
  for (const { type, offset, link, info } of sections) {
    const strings = sections[link]?.offset ?? 0;
    if (type === VERSIONS_NEEDED) readNeeded(file, offset, info, strings, needed);
    if (type === VERSIONS_DEFINED) readDefined(file, offset, info, strings, defined);
  }
  return { needed, defined };
}

// --- internal ---

interface Section {
  readonly type: number;
  readonly offset: number;
  /** Index of its string table. */
  readonly link: number;
  /** Number of its entries. */
  readonly info: number;
}

function sectionsOf(file: Buffer): Section[] {
  const table = Number(file.readBigUInt64LE(0x28)); // e_shoff
  const [size, count] = [file.readUInt16LE(0x3a), file.readUInt16LE(0x3c)]; // e_shentsize, e_shnum
  return Array.from({ length: count }, (_, i) => {
    const at = table + i * size;
    return {
      type: file.readUInt32LE(at + 4),
      offset: Number(file.readBigUInt64LE(at + 0x18)),
      link: file.readUInt32LE(at + 0x28),
      info: file.readUInt32LE(at + 0x2c),
    };
  });
}

const stringAt = (file: Buffer, at: number) => file.toString("latin1", at, file.indexOf(0, at));

/** Elf64_Verneed { u16 version, count; u32 file, aux, next } and Vernaux { …; u32 name, next }. */
function readNeeded(file: Buffer, from: number, count: number, strings: number, to: Set<string>) {
  for (let i = 0, at = from; i < count; i++, at += file.readUInt32LE(at + 12)) {
    let entry = at + file.readUInt32LE(at + 8);
    for (let j = 0; j < file.readUInt16LE(at + 2); j++, entry += file.readUInt32LE(entry + 12))
      to.add(stringAt(file, strings + file.readUInt32LE(entry + 8)));
  }
}

/** Elf64_Verdef { u16 version, flags, index, count; u32 hash, aux, next } and { u32 name, next }. */
function readDefined(file: Buffer, from: number, count: number, strings: number, to: Set<string>) {
  for (let i = 0, at = from; i < count; i++, at += file.readUInt32LE(at + 16))
    to.add(stringAt(file, strings + file.readUInt32LE(at + file.readUInt32LE(at + 12))));
}
