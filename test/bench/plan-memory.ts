/**
 * bun test/bench/plan-memory.ts RUN_WORDS... [--steps N]
 * Asks `adalora plan` what a run needs and compares it with what `adalora run` then takes at its highest, in f32 and bf16 and for
 * batches of 8, 16 and 32; exit 1 if any is more than 15 % away. RUN_WORDS: "rte --model DIR --data DIR", and whatever else a run needs.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bf16Refusal } from "../../ffi/cpu/isa.ts";
import { adaloraProcess } from "../helpers/adalora-process.ts";

const TOLERANCE = 0.15;
const MIB = 2 ** 20;

const words = process.argv.slice(2);
const flag = words.indexOf("--steps");
const [, steps = "12"] = flag < 0 ? [] : words.splice(flag, 2);

const dtypes = bf16Refusal() === undefined ? ["f32", "bf16"] : ["f32"];
const folder = mkdtempSync(join(tmpdir(), "adalora-memory-"));
let isFar = false;

async function adalora(verb: string, flags: readonly string[]) {
  const command = [verb, ...words, ...flags, "--json", "--quiet"];
  const { code, err, ...rest } = await adaloraProcess(command, join(folder, "peak"));
  if (code !== 0) throw Error(err);
  return rest;
}

try {
  for (const dtype of dtypes) {
    for (const size of ["8", "16", "32"]) {
      const flags = ["--dtype", dtype, "--batch-size", size, "--max-steps", steps];
      const { needs } = JSON.parse((await adalora("plan", flags)).out);
      const { peak } = await adalora("run", [...flags, "--out", join(folder, `${dtype}-${size}`)]);
      const share = Number(needs.memory) / peak;
      isFar ||= Math.abs(share - 1) > TOLERANCE;
      const [said, took] = [Number(needs.memory), peak].map((n) => `${Math.round(n / MIB)} MiB`);
      console.log(
        `${dtype}, batches of ${size}: plan says ${said}, the run takes ${took}, ${share.toFixed(2)}x`,
      );
    }
  }
} finally {
  rmSync(folder, { recursive: true });
}
process.exitCode = isFar ? 1 : 0;
