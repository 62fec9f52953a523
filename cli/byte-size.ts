const units = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Text that `bytesIn` reads. */
export const byteSizePattern = /^\s*(\d+(?:\.\d+)?)\s*([KMGT])?i?B?\s*$/i;

/** Parses "8G", "8 GiB", "500MB" or a number of bytes; K, M, G and T are powers of 1024. */
export function bytesIn(text: string): number {
  const [, digits = "NaN", unit = ""] = byteSizePattern.exec(text) ?? [];
  return Math.floor(Number(digits) * 1024 ** (1 + "KMGT".indexOf(unit.toUpperCase() || "-")));
}

/** Formats bytes in the largest unit of which there is at least one: "512 B", "1.4 GiB". */
export function byteSize(bytes: number): string {
  const power = bytes < 1 ? 0 : Math.floor(Math.log2(bytes) / 10);
  const unit = Math.min(units.length - 1, power);
  const value = bytes / 1024 ** unit;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}
