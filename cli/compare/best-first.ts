/**
 * Results by their metric, the best first and equals in their order; those without a value, or with
 * NaN, are left out.
 */
export function bestFirst<Result extends { readonly value: number | null }>(
  results: readonly Result[],
  isHigherBetter: boolean,
): readonly Result[] {
  const gainOf = ({ value }: Result) => (isHigherBetter ? 1 : -1) * (value ?? Number.NaN);
  return results
    .filter((one) => !Number.isNaN(gainOf(one)))
    .toSorted((a, b) => gainOf(b) - gainOf(a));
}
