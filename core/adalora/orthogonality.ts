import type { Backend, Buffer } from "../backend.ts";
import { type Adapter, adapterParameters } from "./adapter.ts";

/**
 * R = mean over all A and B of ||P P^T - I||_F, rows of A and columns of B being the P of each (paper eq. 4, in the authors' form:
 * the norm is not squared, and it is averaged, not summed). Adds R to value[0], and coefficient * dR/dP to the gradients.
 */
export function addOrthogonality(
  backend: Backend,
  adapters: readonly Adapter[],
  coefficient: number,
  value: Buffer,
): void {
  const weight = 1 / (2 * adapters.length);
  for (const adapter of adapters) {
    for (const factor of adapterParameters(adapter)) {
      if (factor === adapter.e) continue;
      const columns = factor === adapter.b;
      const width = factor.length / adapter.rank;
      const shape = { rank: adapter.rank, width, columns, weight, gradWeight: coefficient };
      backend.orthogonality(factor.buffer, factor.grad, value, shape);
    }
  }
}
