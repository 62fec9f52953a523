import type { Backend, Buffer } from "../backend.ts";
import type { OrthogonalFactor } from "../kernels/training.ts";
import type { Adapter } from "../nn/adapter.ts";

/** A and B of every adapter, as the backend's entry takes them; made once for a model. */
export function orthogonalFactors(adapters: readonly Adapter[]): readonly OrthogonalFactor[] {
  return adapters.flatMap(({ rank, a, b }) =>
    [a, b].map((p): OrthogonalFactor => {
      const { buffer: factor, grad, length } = p;
      return { factor, grad, rank, width: length / rank, columns: p === b };
    }),
  );
}

/**
 * R = mean of ||P P^T - I||_F over P = A and P = B^T of every adapter. Paper eq. 4 as in the
 * authors' code: the norm is not squared, and averaged rather than summed. `matrices`: adapters that
 * the mean counts, those without triplets included, whose norms are 0. Adds R to value[0], and
 * coefficient * dR/dP to the gradients.
 */
export function addOrthogonality(
  backend: Backend,
  factors: readonly OrthogonalFactor[],
  coefficient: number,
  value: Buffer,
  matrices = factors.length / 2,
): void {
  if (factors.length === 0) return;
  backend.orthogonality(factors, value, { weight: 1 / (2 * matrices), gradWeight: coefficient });
}
