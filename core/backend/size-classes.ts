/** A cache line, and the widest vector register. */
export const ALIGNMENT = 64;

/** Size of the class that holds `bytes`: eight classes between powers of two, so at most an eighth is wasted. */
export function sizeClass(bytes: number): number {
  const power = 2 ** Math.floor(Math.log2(Math.max(bytes, 1)));
  const step = Math.max(ALIGNMENT, power / 8);
  return Math.ceil(Math.max(bytes, 1) / step) * step;
}

/** What a pool of blocks may always keep for the next request, and how far above its peak it may grow. */
export const POOL_FLOOR = 64 * 2 ** 20;
export const POOL_SLACK = 1.1;
