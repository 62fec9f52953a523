import { AdaloraError } from "./errors.ts";
import { type Decompose, type Svd, decomposeOnCpu, jacobiSvd } from "./jacobi-svd.ts";
import { lengthOf, type Matrix, orthogonalityResidual, product, transposed } from "./matrix.ts";

/** A device's library that decomposes many small matrices in one call. */
export interface Decomposer {
  /** The most rows and columns of a matrix. */
  readonly limit: number;
  /**
   * Decomposes square matrices of 1 to `limit` finite rows; undefined for one that did not converge.
   * `by`: the library and the device, "cuSOLVER 12.2 on cuda:0". Throws AdaloraError where the
   * library is missing or fails.
   */
  decompose(matrices: readonly Matrix[]): {
    readonly by: string;
    readonly svds: readonly (Svd | undefined)[];
  };
}

/**
 * Decomposes matrices by a device's library. The CPU decomposes those that the library can't, and
 * those whose result does not multiply to the matrix. `note` gets one line: what was used, and why.
 */
export const decomposeOn =
  (device: Decomposer, note: (line: string) => void): Decompose =>
  (matrices) => {
    try {
      const { by, svds, problems } = decomposeMixed(device, matrices);
      if (matrices.length > 0) note(usedLine(by, problems, matrices.length));
      return svds;
    } catch (error) {
      if (!(error instanceof AdaloraError)) throw error;
      note(`${SUBJECT} on the CPU: ${error.lines.join(": ")}`);
      return decomposeOnCpu(matrices);
    }
  };

// --- internal ---

/** Decomposes on the device what it can, the rest on the CPU; `problems`: a reason for each of these. */
function decomposeMixed(device: Decomposer, matrices: readonly Matrix[]) {
  const shapes = matrices.map((matrix) => shapeProblem(matrix, device.limit));
  const suitable = matrices.filter((_, i) => shapes[i] === undefined);
  const result = suitable.length > 0 ? device.decompose(suitable) : undefined;
  const found = new Map(suitable.map((matrix, i) => [matrix, result?.svds[i]]));
  const problems: string[] = [];
  const svds = matrices.map((matrix, i) => {
    const svd = found.get(matrix);
    const problem = shapes[i] ?? resultProblem(matrix, svd);
    if (svd !== undefined && problem === undefined) return svd;
    if (problem !== undefined && matrix.values.length > 0) problems.push(problem);
    return jacobiSvd(matrix);
  });
  return { by: result?.by, svds, problems };
}

const SUBJECT = "singular values:";

/** Backward errors of f64 are about 1e-15 of the norm. */
const ACCURATE = 1e-11;

/** Why a device can't decompose a matrix; undefined if it can. */
function shapeProblem({ rows, cols, values }: Matrix, limit: number): string | undefined {
  if (rows > limit || cols > limit) return `of a rank above ${limit}`;
  if (rows !== cols || rows === 0) return "of a rank above the matrix's shorter side";
  return values.every((value) => Number.isFinite(value)) ? undefined : "not finite";
}

/** Why a device's result can't be used; undefined if it can. */
function resultProblem(matrix: Matrix, svd: Svd | undefined): string | undefined {
  if (svd === undefined) return "not converged";
  const { u, s, v } = svd;
  const scaled = { ...u, values: u.values.map((value, i) => value * s[i % u.cols]!) };
  const rebuilt = product(scaled, v).values;
  const error = lengthOf(rebuilt.map((value, i) => value - matrix.values[i]!));
  const isAccurate =
    error <= ACCURATE * lengthOf(matrix.values) &&
    orthogonalityResidual(u) <= ACCURATE &&
    orthogonalityResidual(transposed(v)) <= ACCURATE &&
    s.every((value, i) => value >= 0 && (i === 0 || value <= s[i - 1]!));
  return isAccurate ? undefined : "inaccurate";
}

/** "singular values: cuSOLVER 12.2 on cuda:0; 3 of 72 on the CPU (of a rank above 32)". */
function usedLine(by: string | undefined, problems: readonly string[], count: number): string {
  const reasons = [...new Set(problems)].join(", ");
  if (by === undefined) return `${SUBJECT} on the CPU${reasons === "" ? "" : ` (${reasons})`}`;
  const rest =
    problems.length === 0 ? "" : `; ${problems.length} of ${count} on the CPU (${reasons})`;
  return `${SUBJECT} ${by}${rest}`;
}
