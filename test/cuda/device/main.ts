/**
 * Tests and measures the CUDA backend: see device.sh.
 * bun test/cuda/device/main.ts OUT [--quick] [--device cuda:1|cuda-host] [--small] [--seconds N]
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { atExit } from "../../../scripts/setup/at-exit.ts";
import { partsFor } from "./parts.ts";
import { openResults } from "./results.ts";
import { runParts } from "./run-parts.ts";

/** Below eight minutes, with what unpacking took. */
const SECONDS = 460;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    small: { type: "boolean", default: false },
    device: { type: "string", default: "cuda" },
    seconds: { type: "string", default: String(SECONDS) },
  },
});
const [out] = positionals;
if (out === undefined || positionals.length > 1) {
  console.error("usage: device.sh OUT [--quick] [--device cuda:N|cuda-host] [--small]");
  process.exit(2);
}
const { quick, small, device, seconds } = values;
const scratch = mkdtempSync(join(tmpdir(), "adalora-device-"));
const results = openResults(
  out,
  `${new Date().toISOString().slice(0, 10)}-${device.replace(":", "-")}`,
);
const choice = { device, quick, small, scratch };
const finish = () => {
  rmSync(scratch, { recursive: true, force: true });
  console.log(`results in ${results.summarize()}`);
};
const forget = atExit(finish); // a run that is interrupted keeps what it has
try {
  const options = { seconds: Number(seconds), results, say: (text: string) => console.log(text) };
  process.exitCode = (await runParts(partsFor(choice), options)) ? 0 : 1;
} finally {
  forget();
  finish();
}
