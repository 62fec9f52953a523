import type { AllocatorTable } from "../allocator.ts";
import { adaloraAllocator } from "./adalora.ts";
import { randomAllocator } from "./random.ts";
import { uniformAllocator } from "./uniform.ts";

/** The built-in allocation rules. `--allocator` and its help are generated from this table. */
export const allocators = {
  adalora: adaloraAllocator,
  uniform: uniformAllocator,
  random: randomAllocator,
} as const satisfies AllocatorTable;
