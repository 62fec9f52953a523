import type { StartTable } from "../start.ts";
import { evaStart } from "./eva.ts";
import { loraStart } from "./lora.ts";
import { paperStart } from "./paper.ts";

/** The built-in starts. `--start` and its help are generated from this table. */
export const starts = {
  paper: paperStart,
  lora: loraStart,
  eva: evaStart,
} as const satisfies StartTable;
