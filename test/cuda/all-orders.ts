/**
 * Conformance of the emulated device under every order of threads, with early and with late copies,
 * at both alignments: `bun test/cuda/all-orders.ts`, about 13 minutes. Exits with 1 if a case fails.
 */

import { join } from "node:path";
import process from "node:process";

const files = ["conformance.test.ts", "conformance-bf16.test.ts"];
const { exitCode } = Bun.spawnSync(
  [process.execPath, "test", ...files.map((name) => join(import.meta.dir, name))],
  { env: { ...process.env, ADALORA_ALL_ORDERS: "1" }, stdio: ["ignore", "inherit", "inherit"] },
);
process.exitCode = exitCode;
