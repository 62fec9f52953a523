import type { Backend } from "../../../core/backend.ts";
import type { Launcher } from "../launcher.ts";
import { type AddGradients, openAddGradients } from "./factor-gradients.ts";
import { type AddIncrements, openAddIncrements } from "./increments.ts";
import { openProject, type Project } from "./projections.ts";

/** Products of activations with adapters' factors, of many matrices in one launch. */
export interface LowRank {
  readonly project: Project;
  readonly addIncrements: AddIncrements;
  readonly addGradients: AddGradients;
}

/** Opens the kernels that treat groups of adapters. */
export const openLowRank = (launcher: Launcher): LowRank => ({
  project: openProject(launcher),
  addIncrements: openAddIncrements(launcher),
  addGradients: openAddGradients(launcher),
});

/** A single increment or gradient. */
export const lowRankKernels = ({
  addIncrements,
  addGradients,
}: LowRank): Pick<Backend, "addLowRank" | "addFactorGradient"> => ({
  addLowRank(y, increment, bias, { rows, cols, stride = cols }, activated) {
    const { transposed } = increment;
    const to = { y, cols, stride, bias, activated };
    addIncrements.toOne(to, [increment], { rows, transposed });
  },
  addFactorGradient(dy, { h, e, scale, transposed, rank }, gradient, shape) {
    const { rows, cols, stride = cols } = shape;
    const own = { gradient, transposed, left: h, right: dy, cols, stride, e, scale, rank };
    addGradients([own], rows);
  },
});
