/**
 * Preloaded under the address sanitizer: blocks of the device's memory are as long as they were
 * allocated, to the byte, and all else of it must not be touched. The emulated device must then do
 * its work at once, before the host frees what it uses.
 */
import { dlopen } from "bun:ffi";
import { plugin } from "bun";
import { sanitizer } from "../../../ffi/libc.ts";
import { replaceOnce } from "../faults/replace.ts";

// oxlint-disable no-underscore-dangle -- the sanitizer's names
const { symbols } = dlopen(sanitizer ?? "", {
  __asan_poison_memory_region: { args: ["u64", "u64"], returns: "void" },
  __asan_unpoison_memory_region: { args: ["u64", "u64"], returns: "void" },
});

/** Called by the changed pool. */
Object.assign(globalThis, {
  adaloraPool: {
    taken: symbols.__asan_unpoison_memory_region,
    given: symbols.__asan_poison_memory_region,
  },
});

const REPLACEMENTS = [
  [
    "space.give(added.start, added.bytes);",
    "space.give(added.start, added.bytes), adaloraPool.given(added.start, added.bytes);",
  ],
  ["      return start;", "      adaloraPool.taken(start, bytes);\n      return start;"],
  [
    "space.give(pointer, size);",
    "space.give(pointer, size);\n      adaloraPool.given(pointer, size);",
  ],
] as const;

plugin({
  name: "exact blocks",
  setup(build) {
    build.onLoad({ filter: /\/ffi\/cuda\/pool\.ts$/ }, async ({ path }) => {
      let contents = await Bun.file(path).text();
      for (const [find, replace] of REPLACEMENTS) contents = replaceOnce(contents, find, replace);
      return { contents, loader: "ts" };
    });
  },
});
