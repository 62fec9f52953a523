/**
 * The error function, to a relative error of about 2e-15. A series below 2.5, a continued fraction
 * of erfc above (Abramowitz and Stegun 7.1.6, 7.1.14):
 *   erf(x) = 2/sqrt(pi) * exp(-x^2) * sum_n 2^n x^(2n+1) / (2n+1)!!
 */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  const value = a < 2.5 ? series(a) : 1 - fraction(a);
  return x < 0 ? -value : value;
}

function series(a: number): number {
  let term = a;
  let sum = a;
  for (let n = 1; term > sum * 1e-18 && term > 0; n++) {
    term *= (2 * a * a) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-a * a) * sum;
}

/**
 * erfc(a) = exp(-a^2)/sqrt(pi) * 1/(a + (1/2)/(a + 1/(a + (3/2)/(a + ...)))), evaluated from the
 * inside out.
 */
function fraction(a: number): number {
  let tail = a;
  for (let n = 60; n >= 1; n--) tail = a + n / 2 / tail;
  return Math.exp(-a * a) / Math.sqrt(Math.PI) / tail;
}
