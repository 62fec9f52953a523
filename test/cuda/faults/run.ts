/**
 * bun test/cuda/faults/run.ts [TEXT]
 *
 * Plants each fault of faults.ts, or those whose description has TEXT, in a copy of the kernels or
 * in the backend as it is loaded, and runs the tests that must find it on the emulated
 * device. Ends with 1 if one is not found. A minute or two on two cores.
 */
import { cpSync, mkdtempSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { plantedFaults } from "./faults.ts";
import type { PlantedFault } from "./planted-fault.ts";
import type { Planting } from "./plant.ts";
import { replaceOnce } from "./replace.ts";

const KERNELS = join(import.meta.dir, "../../../ffi/cuda/kernels");
const TESTS = join(import.meta.dir, "..");

/** Prepares a fault; returns what is to be replaced as TypeScript is loaded. */
async function plant(fault: PlantedFault, space: string): Promise<Planting[]> {
  const { file, family, find, replace } = fault;
  if (family === undefined) return [{ file, replacements: [[find, replace]] }];
  const kernels = join(space, "kernels");
  rmSync(kernels, { recursive: true, force: true });
  mkdirSync(kernels);
  // The family alone, so that nothing else is compiled.
  for (const name of readdirSync(KERNELS))
    if (name.endsWith(".h") || name === `${family}.cu`)
      cpSync(join(KERNELS, name), join(kernels, name));
  const path = join(space, file);
  writeFileSync(path, replaceOnce(await Bun.file(path).text(), find, replace));
  const replacements = [
    [
      `const KERNELS = join(EMULATOR, "../kernels");`,
      `const KERNELS = ${JSON.stringify(kernels)};`,
    ],
    [`join(nativeDir, "emulator")`, JSON.stringify(join(space, "libraries"))],
  ] as const;
  return [{ file: "emulator/build.ts", replacements }];
}

/** The first failing test that a fault leads to; undefined if none fails. */
function firstFailure(
  { cases, test }: PlantedFault,
  plantings: readonly Planting[],
): string | undefined {
  const path = join(TESTS, test ?? "conformance.test.ts");
  const command = ["test", "--preload", join(import.meta.dir, "plant.ts"), path, "--bail"];
  const run = Bun.spawnSync([process.execPath, ...command, "-t", ` ${cases}`], {
    env: { ...process.env, ADALORA_PLANTED_FAULT: JSON.stringify(plantings) },
    stdout: "pipe",
    stderr: "pipe",
  });
  const text = run.stdout.toString() + run.stderr.toString();
  const [, failed] = /^\(fail\) (.*?)( \[[^\]]*\])?$/m.exec(text) ?? [];
  if (failed !== undefined) return failed;
  // Neither a failure nor a success: the fault does not compile, or the device is missing.
  if (run.exitCode !== 0 || !/^ *[1-9]\d* pass$/m.test(text))
    process.stderr.write(`${text.split("\n").slice(-8).join("\n")}\n`);
  return undefined;
}

const [filter = ""] = process.argv.slice(2);
const faults = plantedFaults.filter(({ what }) => what.includes(filter));
const space = mkdtempSync(join(tmpdir(), "adalora-faults-"));
let missed = 0;
try {
  for (const fault of faults) {
    const found = firstFailure(fault, await plant(fault, space));
    if (found === undefined) missed++;
    console.log(`${found === undefined ? "MISSED" : "found "} ${fault.file}: ${fault.what}`);
    if (found !== undefined) console.log(`         by ${found}`);
  }
} finally {
  rmSync(space, { recursive: true, force: true });
}
console.log(`${faults.length - missed} of ${faults.length} faults found`);
process.exitCode = missed === 0 ? 0 : 1;
