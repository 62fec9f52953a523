import type { StartTable } from "../start.ts";
import { loraStart } from "./lora.ts";
import { paperStart } from "./paper.ts";

/** The starts that come with the program; `--start` and its help are made from this table. */
export const starts = {
  paper: paperStart,
  lora: loraStart,
} as const satisfies StartTable;
