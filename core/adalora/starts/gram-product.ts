/**
 * Computes MᵀM x for each vector x, without forming MᵀM.
 * rows: [n], M's rows, [c] each; vectors: [v] of [c]. Returns [v] new vectors of [c].
 */
export function gramProduct(
  rows: readonly Float64Array[],
  vectors: readonly Float64Array[],
): Float64Array[] {
  const products = vectors.map((vector) => new Float64Array(vector.length));
  // Rows and vectors that complete the last tile.
  const zeros = new Float64Array(vectors[0]?.length ?? 0);
  const unread = new Float64Array(zeros.length);
  const dots = new Float64Array(8);
  for (let r = 0; r < rows.length; r += 4) {
    const row = (i: number) => rows[r + i] ?? zeros;
    const tile: RowTile = [row(0), row(1), row(2), row(3)];
    for (let v = 0; v < vectors.length; v += 2) {
      dotTile(tile, vectors[v]!, vectors[v + 1] ?? zeros, dots);
      addTile(tile, dots, products[v]!, products[v + 1] ?? unread);
    }
  }
  return products;
}

// Four rows by two vectors: each load is multiplied at least twice, and the eight sums fit the
// registers. Numbers are not destructured here: array patterns made JavaScriptCore 5 times slower.
type RowTile = readonly [Float64Array, Float64Array, Float64Array, Float64Array];

/** dots: [8], the four rows' products with x, then those with y. */
function dotTile([a, b, c, d]: RowTile, x: Float64Array, y: Float64Array, dots: Float64Array) {
  let ax = 0;
  let bx = 0;
  let cx = 0;
  let dx = 0;
  let ay = 0;
  let by = 0;
  let cy = 0;
  let dy = 0;
  for (let i = 0; i < x.length; i++) {
    const xi = x[i]!;
    const yi = y[i]!;
    ax += a[i]! * xi;
    bx += b[i]! * xi;
    cx += c[i]! * xi;
    dx += d[i]! * xi;
    ay += a[i]! * yi;
    by += b[i]! * yi;
    cy += c[i]! * yi;
    dy += d[i]! * yi;
  }
  dots.set([ax, bx, cx, dx, ay, by, cy, dy]);
}

/** px += Σ rows by the first four dots, py += Σ rows by the last four. */
function addTile([a, b, c, d]: RowTile, dots: Float64Array, px: Float64Array, py: Float64Array) {
  const ax = dots[0]!;
  const bx = dots[1]!;
  const cx = dots[2]!;
  const dx = dots[3]!;
  const ay = dots[4]!;
  const by = dots[5]!;
  const cy = dots[6]!;
  const dy = dots[7]!;
  for (let i = 0; i < px.length; i++) {
    px[i]! += a[i]! * ax + b[i]! * bx + c[i]! * cx + d[i]! * dx;
    py[i]! += a[i]! * ay + b[i]! * by + c[i]! * cy + d[i]! * dy;
  }
}
