/** Threads that a compiled kernel's blocks may have. */

/** Of a kernel without __launch_bounds__: a device's limit. */
const MOST_THREADS = 1024;

/** Sections of a CUBIN with a kernel's attributes, one after another: see `cuobjdump -elf`. */
const SECTION = ".nv.info.";

/** Of an attribute: its first byte says that its third and fourth count the bytes of its value. */
const SIZED = 4;
/** The attribute that __launch_bounds__ sets: the largest block, in x, y and z. */
const MAX_THREADS = 5;

/** Reads the launch bounds of all kernels of a CUBIN, which is an ELF file of 64 bits. */
export function launchBounds(image: Uint8Array): ReadonlyMap<string, number> {
  const bounds = new Map<string, number>();
  for (const { name, bytes } of sectionsOf(image))
    if (name.startsWith(SECTION)) bounds.set(name.slice(SECTION.length), boundIn(bytes));
  return bounds;
}

function boundIn(bytes: DataView): number {
  for (let at = 0; at + 4 <= bytes.byteLength;) {
    const isSized = bytes.getUint8(at) === SIZED;
    if (isSized && bytes.getUint8(at + 1) === MAX_THREADS)
      return [4, 8, 12].reduce((product, i) => product * bytes.getUint32(at + i, true), 1);
    at += 4 + (isSized ? bytes.getUint16(at + 2, true) : 0);
  }
  return MOST_THREADS;
}

/** Sections of an ELF file with their names. */
function sectionsOf(image: Uint8Array): { name: string; bytes: DataView }[] {
  const { buffer, byteOffset, byteLength } = image;
  const file = new DataView(buffer, byteOffset, byteLength);
  const [table, size] = [Number(file.getBigUint64(0x28, true)), file.getUint16(0x3a, true)];
  const [count, ofNames] = [file.getUint16(0x3c, true), file.getUint16(0x3e, true)];
  const headers = Array.from({ length: count }, (_, i) => {
    const at = table + i * size;
    const [start, length] = [0x18, 0x20].map((field) =>
      Number(file.getBigUint64(at + field, true)),
    );
    const isEmpty = file.getUint32(at + 4, true) === 8; // SHT_NOBITS: not in the file
    return { nameAt: file.getUint32(at, true), start: start!, length: isEmpty ? 0 : length! };
  });
  const names = headers[ofNames]!.start;
  return headers.map(({ nameAt, start, length }) => {
    const from = image.subarray(names + nameAt);
    return {
      name: Buffer.from(from.subarray(0, from.indexOf(0))).toString(),
      bytes: new DataView(buffer, byteOffset + start, length),
    };
  });
}
