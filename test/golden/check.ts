/**
 * bun test/golden/check.ts [--backend reference|cpu|cuda-host] [--dtype f64|f32|bf16] DIR...
 * Holds a backend to golden cases: their folders, or folders of these. Prints a line of JSON per
 * case; exit 1 if any failed. "cuda-host" is the emulated device.
 */
import { existsSync, readdirSync } from "node:fs";
import { basename, join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";
import { bartKind, checkBart } from "./bart-case.ts";
import type { CaseResult } from "./comparison.ts";
import { checkForward } from "./forward-case.ts";
import { checkGeneration } from "./generate-case.ts";
import { type GoldenCase, readGoldenCase } from "../../core/model/golden-case.ts";
import { tolerances } from "./golden-case.ts";
import { checkPeft, peftBart, peftSequence, peftSpan } from "./peft-case.ts";
import { checkBucketTable, checkMaskingTable, checkScheduleTable } from "./table-cases.ts";
import { checkSpan, spanKind } from "./span-case.ts";
import { checkTraining, sequenceKind } from "./training-case.ts";

const skip = (reason: string): CaseResult => ({ status: "skip", reason });

/** Runs one case on a backend. */
export async function checkCase(
  backend: Backend,
  golden: GoldenCase,
  dtype: string,
): Promise<CaseResult> {
  const tolerance = tolerances[dtype];
  if (!tolerance) return skip(`no tolerances for ${dtype}`);
  const { golden: g } = golden;
  const settings = g["case"] as { kind: string } | undefined;
  const kind = settings?.kind ?? g["kind"];
  if (kind === "generate") return checkGeneration(backend, golden, tolerance);
  if (g["adapter_keys"]) {
    if (kind === "bart") return checkPeft(backend, golden, tolerance, peftBart);
    if (kind === "qa") return checkPeft(backend, golden, tolerance, peftSpan);
    return checkPeft(backend, golden, tolerance, peftSequence);
  }
  if (g["steps"]) {
    if (g["dtype"] === "float32" && dtype === "f64")
      return skip("a float32 trajectory: for f32 backends");
    if (kind === "qa") return checkTraining(backend, golden, tolerance, spanKind);
    if (kind === "bart") return checkTraining(backend, golden, tolerance, bartKind);
    return checkTraining(backend, golden, tolerance, sequenceKind);
  }
  if (Array.isArray(g["rows"])) return checkTable(backend, golden, tolerance);
  if (kind === "bart") return checkBart(backend, golden, tolerance);
  if (kind === "qa") return checkSpan(backend, golden, tolerance);
  if (kind === "seqcls" || kind === "deberta") return checkForward(backend, golden, tolerance);
  return skip(`unknown kind of case "${String(kind)}"`);
}

function checkTable(
  backend: Backend,
  golden: GoldenCase,
  tolerance: NonNullable<(typeof tolerances)[string]>,
): CaseResult {
  const [row] = golden.golden["rows"] as object[];
  if (!row) return { status: "fail", reason: "the table there are no rows" };
  if ("masks" in row) return checkMaskingTable(backend, golden, tolerance);
  if ("non_negative" in row) return checkBucketTable(golden);
  if ("target_total" in row) return checkScheduleTable(golden);
  return skip("unknown kind of table");
}

async function openBackend(name: string, dtype: string): Promise<Backend> {
  if (name === "reference") return createReferenceBackend();
  const type = dtype === "bf16" ? "bf16" : "f32";
  if (name === "cpu") {
    const { createCpuBackend } = await import("../../ffi/cpu/backend.ts");
    return createCpuBackend({ dtype: type });
  }
  if (name !== "cuda-host") throw new Error(`no backend "${name}": reference, cpu or cuda-host`);
  const { createEmulatedBackend } = await import("../../ffi/cuda/emulator/backend.ts");
  return (await createEmulatedBackend(type)).backend;
}

/** The folders of cases below a folder, which may be one itself. */
function caseFolders(dir: string): string[] {
  if (existsSync(join(dir, "golden.json"))) return [dir];
  return readdirSync(dir)
    .toSorted()
    .map((name) => join(dir, name))
    .filter((each) => existsSync(join(each, "golden.json")));
}

async function main(args: readonly string[]): Promise<number> {
  const option = (name: string, fallback: string) => {
    const at = args.indexOf(name);
    return at < 0 ? fallback : (args[at + 1] ?? fallback);
  };
  const backendName = option("--backend", "reference");
  const dtype = option("--dtype", backendName === "reference" ? "f64" : "f32");
  const dirs = args
    .filter((arg, i) => !arg.startsWith("--") && !args[i - 1]?.startsWith("--"))
    .flatMap(caseFolders);
  const backend = await openBackend(backendName, dtype);
  let failed = dirs.length === 0;
  for (const dir of dirs) {
    let result: CaseResult;
    try {
      result = await checkCase(backend, readGoldenCase(dir), dtype);
    } catch (error) {
      result = {
        status: "fail",
        reason: error instanceof Error ? (error.stack ?? error.message) : String(error),
      };
    }
    failed ||= result.status === "fail";
    console.log(JSON.stringify({ case: basename(dir), ...result }));
  }
  return failed ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(process.argv.slice(2));
