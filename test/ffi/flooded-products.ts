/**
 * Multiplies for three seconds, with blocks of the C heap all around what oneDNN allocates, for a test that sends signals meanwhile.
 * Ends with 1 when a block was written to; the C library aborts when its own words between the blocks were.
 */
import type { Pointer } from "bun:ffi";
import { kernelLibrary } from "../../ffi/cpu/build.ts";
import { openDnnl } from "../../ffi/cpu/dnnl.ts";
import { openOpenMp } from "../../ffi/cpu/openmp.ts";
import { openProductCalls } from "../../ffi/cpu/product-calls.ts";
import { libc, pointerAt } from "../../ffi/libc.ts";
import { viewBytes } from "../../ffi/memory.ts";

/** Few rows, so that oneDNN does not pack, and a K whose block does not fit its stack buffer. */
const [M, N, K] = [64, 256, 256];
const MARK = 0x5a;
const BLOCKS = 256;
const MILLISECONDS = 3000;

const { path, openmp } = await kernelLibrary();
openOpenMp(openmp).setThreads(1);
const { sgemm } = openProductCalls(openDnnl().path, path);

const slot = new BigUint64Array(new ArrayBuffer(8));
function block(bytes: number): { pointer: Pointer; bytes: number } {
  libc.posix_memalign(slot, 16, bytes);
  const pointer = pointerAt(Number(slot[0]));
  libc.memset(pointer, MARK, bytes);
  return { pointer, bytes };
}

const [a, b, c] = [block(4 * M * K), block(4 * K * N), block(4 * M * N)];
/** Of 0.5 to 5 KB: each product finds its buffer at another distance from the block below. */
const blocks = () => Array.from({ length: BLOCKS }, (_, i) => 512 + ((i * 1237) % 5000));

process.on("SIGUSR2", () => {});
console.log("ready");
const end = performance.now() + MILLISECONDS;
while (performance.now() < end) {
  const marked = blocks().map((bytes) => {
    const made = block(bytes);
    sgemm(false, true, M, N, K, 1, a.pointer, K, b.pointer, K, 0, c.pointer, N);
    return made;
  });
  for (const { pointer, bytes } of marked) {
    if (new Uint8Array(viewBytes(pointer, bytes)).some((byte) => byte !== MARK)) process.exit(1);
    libc.free(pointer);
  }
}
process.exit(0);
