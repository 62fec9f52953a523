/** Singular values by cuSOLVER beside those of the CPU; skipped where it is not installed. */
import { deviceFor } from "../../../../cli/backend.ts";
import { decomposeOn } from "../../../../core/decomposer.ts";
import { AdaloraError } from "../../../../core/errors.ts";
import { decomposeOnCpu, type Svd } from "../../../../core/jacobi-svd.ts";
import type { Matrix } from "../../../../core/matrix.ts";
import { emit, runAsJob, say, Skip } from "./job.ts";

/** Largest difference of a singular value, relative to the matrix's largest. */
const LIMIT = 1e-10;

await runAsJob(async ({ device }) => {
  const decomposer = await deviceFor({ device, dtype: "f32" }).decomposer?.();
  if (decomposer === undefined) throw new Skip(`--device ${device} has no cuSOLVER`);
  const matrices = Array.from({ length: 96 }, (_, i) => noise(1 + (i % decomposer.limit), i + 1));
  const started = performance.now();
  const { by, svds } = decomposedBy(() => decomposer.decompose(matrices));
  const seconds = (performance.now() - started) / 1000;
  const expected = decomposeOnCpu(matrices);
  const differences = svds.map((svd, i) => (svd ? difference(svd, expected[i]!) : 0));
  const largestDifference = Math.max(...differences);
  const notConverged = svds.filter((svd) => svd === undefined).length;
  let used = "";
  decomposeOn(decomposer, (line) => (used = line))(matrices);
  emit({ by, matrices: matrices.length, notConverged, largestDifference, used, seconds });
  const isOk = largestDifference <= LIMIT && used === `singular values: ${by}`;
  if (!isOk) say(used);
  return isOk;
});

function decomposedBy<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof AdaloraError) || error.code !== "E_LIBRARY") throw error;
    throw new Skip(error.lines.join(": "));
  }
}

/** A matrix of full rank. */
function noise(size: number, phase: number): Matrix {
  const values = Float64Array.from({ length: size * size }, (_, i) =>
    Math.sin(0.37 * i * i + phase),
  );
  return { rows: size, cols: size, values };
}

function difference({ s }: Svd, expected: Svd): number {
  return Math.max(...s.map((value, i) => Math.abs(value - expected.s[i]!))) / expected.s[0]!;
}
