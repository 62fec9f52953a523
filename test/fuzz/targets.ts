import { dataTargets } from "./data-targets.ts";
import { fileTargets } from "./file-targets.ts";
import { hubTarget } from "./hub-target.ts";
import type { Target } from "./target.ts";
import { textTargets } from "./text-targets.ts";

/** Every reader of files from elsewhere. */
export const targets: readonly Target[] = [
  ...fileTargets,
  ...textTargets,
  ...dataTargets,
  hubTarget,
];
