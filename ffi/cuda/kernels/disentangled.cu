/*
 * Disentangled attention (DeBERTa, He et al. 2021) over packed rows. No probabilities are kept:
 * backward recomputes them from the log-sum-exp of each query's scores, for a few heads at a time,
 * into scratch from which the other gradients are made.
 */
#include "attention.h"
#include "disentangled.h"

DEVICE i32 sequence_of_block(const Disentangled &s) { return (i32)blockIdx.x / s.blocks; }
DEVICE i32 first_of_block(const Disentangled &s) {
  return (i32)blockIdx.x % s.blocks * BLOCK_ROWS;
}
DEVICE i32 head_of_block(const Disentangled &s) { return s.first_head + (i32)blockIdx.y; }

/* Row of posKey and posQuery of query i and key j of a sequence. */
DEVICE i32 relative_row(const Disentangled &s, i32 start, i32 i, i32 j) {
  return s.relative[s.positions[start + i] - s.positions[start + j] + s.span - 1];
}

/* The score of a query and a key, both in shared memory. pos_key and pos_query are offset to the
 * head; NULL where they are absent. */
template <class T>
DEVICE f32 score_of(const Disentangled &s, const f32 *query, const f32 *key, const T *pos_key,
                    const T *pos_query, i32 t) {
  const i64 at = (i64)t * s.heads * s.dim;
  f32 score = dot(query, key, s.dim);
  if (pos_key) score += dot(query, pos_key + at, s.dim);
  if (pos_query) score += dot(key, pos_query + at, s.dim);
  return score * s.inverse_scale;
}

/* NULL, or a matrix offset to columns of a head. */
template <class T> DEVICE T *columns_from(T *matrix, i32 column) {
  return matrix ? matrix + column : nullptr;
}

/* Sets a row of out a warp, and its log_sums [heads, query rows] unless NULL. */
template <class T>
DEVICE void attend(T *out, f32 *log_sums, i32 query_rows, const T *q, const T *k, const T *v,
                   const T *pos_key, const T *pos_query, const Disentangled &s,
                   const Dropout &dropout) {
  DYNAMIC_SHARED(f32, memory);
  const Sequence sequence = sequence_of(s, sequence_of_block(s));
  const i32 first_row = first_of_block(s), i = first_row + warp(), dim = s.dim;
  if (first_row >= sequence.queries) return;
  const Space space = space_at(memory, dim);
  const i32 head = head_of_block(s), column = head * dim, width = s.heads * dim;
  const bool active = i < sequence.queries;
  const i64 at = (i64)(sequence.query_start + i) * width + column;
  pos_key = columns_from(pos_key, column);
  pos_query = columns_from(pos_query, column);
  if (active) load_row(space.row_a, q + at, dim);
  Softmax sums = softmax();
  for (i32 first = 0; first < sequence.n; first += TILE) {
    const i64 keys = (i64)(sequence.start + first) * width + column;
    const i32 count = smaller(TILE, sequence.n - first), j = first + lane();
    load_tiles(space, k + keys, width, v + keys, width, count, dim);
    if (!active) continue; /* the whole warp */
    const bool visible = j < sequence.n;
    f32 score = 0.0f;
    if (visible) {
      const i32 t = s.relative ? relative_row(s, sequence.start, i, j) : 0;
      score = score_of(s, space.row_a, space.tile_a + lane() * tile_pitch(dim), pos_key,
                       pos_query, t);
    }
    const f32 weight = add_scores(sums, score, visible, dim);
    const i32 row = head * s.tokens + sequence.start + i;
    space.weights_a[lane()] = visible ? weight * dropout_factor(dropout, row, j) : 0.0f;
    __syncwarp();
    for (i32 r = 0; r < count; r++)
      add_scaled(sums.out, space.weights_a[r], space.tile_b + r * tile_pitch(dim), dim);
    __syncwarp(); /* the weights have been read */
  }
  if (!active) return;
  store_scaled(out + at, sums.out, sequence.n > 0 ? 1.0f / sums.total : 0.0f, dim);
  if (log_sums && lane() == 0)
    log_sums[(i64)head * query_rows + sequence.query_start + i] = log_sum_exp(sums);
}

/*
 * Scratch of backward for some heads, rows of `longest` keys: for each query and key the
 * probability after dropout, and the gradient of the score before its division by scale.
 */
struct Pairs {
  f32 *weights, *gradients; /* [heads of the grid, query rows, longest] */
  i32 query_rows, longest;
};

#define PAIRS_PARAMETERS f32 *weights, f32 *gradients, i32 query_rows, i32 longest
#define PAIRS_ARGUMENTS (Pairs{weights, gradients, query_rows, longest})

/* Offset of a query's row in the scratch, for a head counted from first_head. */
DEVICE i64 pairs_at(const Pairs &p, i32 head, i32 query_row) {
  return ((i64)head * p.query_rows + query_row) * p.longest;
}

/* A query of backward, by one warp. */
struct Query {
  Sequence sequence;
  i32 i, row; /* in its sequence, of its dropout */
  bool active;
  i64 at, pairs_at; /* in q and its like, in the scratch */
};

DEVICE Query query_of(const Disentangled &s, const Pairs &pairs) {
  const Sequence sequence = sequence_of(s, sequence_of_block(s));
  const i32 i = first_of_block(s) + warp(), head = head_of_block(s),
            query_row = sequence.query_start + i;
  return {sequence,
          i,
          head * s.tokens + sequence.start + i,
          i < sequence.queries,
          ((i64)query_row * s.heads + head) * s.dim,
          pairs_at(pairs, (i32)blockIdx.y, query_row)};
}

/*
 * Sets a query's row of the scratch: weights to its probabilities, gradients to those of the
 * probabilities less `inner`, dout . out. Returns the mean of the latter, weighted by the former.
 *
 * The gradient of a score is a difference of the two, which cancel where one probability is near 1.
 * The mean is 0 but for rounding; taking it off removes what `inner` has lost.
 */
template <class T>
DEVICE f32 set_probabilities(const Pairs &pairs, const Query &query, f32 inner, f32 log_sum,
                             const T *k, const T *v, const T *pos_key, const T *pos_query,
                             const Space &space, const Disentangled &s, const Dropout &dropout) {
  const i32 dim = s.dim, width = s.heads * dim, column = head_of_block(s) * dim;
  const Sequence &sequence = query.sequence;
  f32 total = 0.0f, weighted = 0.0f;
  for (i32 first = 0; first < sequence.n; first += TILE) {
    const i64 keys = (i64)(sequence.start + first) * width + column;
    const i32 count = smaller(TILE, sequence.n - first), j = first + lane();
    load_tiles(space, k + keys, width, v + keys, width, count, dim);
    if (!query.active || j >= sequence.n) continue;
    const i32 t = s.relative ? relative_row(s, sequence.start, query.i, j) : 0,
              at_row = lane() * tile_pitch(dim);
    const f32 score = score_of(s, space.row_a, space.tile_a + at_row, pos_key, pos_query, t),
              probability = expf(score - log_sum);
    const f32 gradient = dot(space.row_b, space.tile_b + at_row, dim) *
                             dropout_factor(dropout, query.row, j) -
                         inner;
    pairs.weights[query.pairs_at + j] = probability;
    pairs.gradients[query.pairs_at + j] = gradient;
    total += probability;
    weighted += probability * gradient;
  }
  if (!query.active) return 0.0f; /* the whole warp */
  total = warp_sum(total);
  return warp_sum(weighted) / total;
}

/* Sets a row of dq, and of the scratch, a warp. */
template <class T>
DEVICE void attend_queries_backward(T *dq, const Pairs &pairs, const T *dout, const T *out,
                                    const f32 *log_sums, const T *q, const T *k, const T *v,
                                    const T *pos_key, const T *pos_query, const Disentangled &s,
                                    const Dropout &dropout) {
  DYNAMIC_SHARED(f32, memory);
  const Query query = query_of(s, pairs);
  const Sequence &sequence = query.sequence;
  if (first_of_block(s) >= sequence.queries) return;
  const i32 dim = s.dim, head = head_of_block(s), column = head * dim, width = s.heads * dim;
  const Space space = space_at(memory, dim);
  pos_key = columns_from(pos_key, column);
  pos_query = columns_from(pos_query, column);
  f32 inner = 0.0f, log_sum = 0.0f;
  if (query.active) {
    load_row(space.row_a, q + query.at, dim);
    load_row(space.row_b, dout + query.at, dim);
    inner = warp_dot(dout + query.at, out + query.at, dim);
    log_sum = log_sums[(i64)head * pairs.query_rows + sequence.query_start + query.i];
  }
  const f32 mean = set_probabilities(pairs, query, inner, log_sum, k, v, pos_key, pos_query, space,
                                     s, dropout);
  Columns sum = {};
  for (i32 first = 0; first < sequence.n; first += TILE) {
    const i64 keys = (i64)(sequence.start + first) * width + column;
    const i32 count = smaller(TILE, sequence.n - first), j = first + lane();
    __syncthreads(); /* the tile before has been read */
    load_tile(space.tile_a, k + keys, width, count, dim);
    __syncthreads();
    if (!query.active) continue; /* the whole warp */
    if (j < sequence.n) {
      const i64 pair = query.pairs_at + j;
      const f32 probability = pairs.weights[pair],
                gradient = probability * (pairs.gradients[pair] - mean) * s.inverse_scale;
      pairs.weights[pair] = probability * dropout_factor(dropout, query.row, j);
      pairs.gradients[pair] = space.weights_a[lane()] = gradient;
      if (pos_key) space.relative[lane()] = relative_row(s, sequence.start, query.i, j);
    }
    __syncwarp();
    for (i32 r = 0; r < count; r++) {
      const f32 gradient = space.weights_a[r];
      add_scaled(sum, gradient, space.tile_a + r * tile_pitch(dim), dim);
      if (pos_key) add_scaled(sum, gradient, pos_key + (i64)space.relative[r] * width, dim);
    }
    __syncwarp(); /* the weights have been read */
  }
  if (query.active) store_scaled(dq + query.at, sum, 1.0f, dim);
}

/* Sets a row of dk and dv a warp, from the scratch. */
template <class T>
DEVICE void attend_keys_backward(T *dk, T *dv, const Pairs &pairs, const T *dout, const T *q,
                                 const T *pos_query, const Disentangled &s) {
  DYNAMIC_SHARED(f32, memory);
  const Sequence sequence = sequence_of(s, sequence_of_block(s));
  const i32 first_row = first_of_block(s), j = first_row + warp(), dim = s.dim;
  if (first_row >= sequence.n) return;
  const Space space = space_at(memory, dim);
  const i32 column = head_of_block(s) * dim, width = s.heads * dim;
  const bool active = j < sequence.n;
  pos_query = columns_from(pos_query, column);
  Columns key_sum = {}, value_sum = {};
  for (i32 first = 0; first < sequence.queries; first += TILE) {
    const i64 queries = (i64)(sequence.query_start + first) * width + column;
    const i32 count = smaller(TILE, sequence.queries - first), i = first + lane();
    load_tiles(space, q + queries, width, dout + queries, width, count, dim);
    if (!active) continue; /* the whole warp */
    if (i < sequence.queries) {
      const i64 pair = pairs_at(pairs, (i32)blockIdx.y, sequence.query_start + i) + j;
      space.weights_a[lane()] = pairs.weights[pair];
      space.weights_b[lane()] = pairs.gradients[pair];
      if (pos_query) space.relative[lane()] = relative_row(s, sequence.start, i, j);
    }
    __syncwarp();
    for (i32 r = 0; r < count; r++) {
      const f32 gradient = space.weights_b[r];
      add_scaled(value_sum, space.weights_a[r], space.tile_b + r * tile_pitch(dim), dim);
      add_scaled(key_sum, gradient, space.tile_a + r * tile_pitch(dim), dim);
      if (pos_query) add_scaled(key_sum, gradient, pos_query + (i64)space.relative[r] * width, dim);
    }
    __syncwarp(); /* the weights have been read */
  }
  if (!active) return;
  const i64 at = (i64)(sequence.start + j) * width + column;
  store_scaled(dk + at, key_sum, 1.0f, dim);
  store_scaled(dv + at, value_sum, 1.0f, dim);
}

/* Sets a row to the sum of the warps' sums, added in their order. `memory` is [warps, dim]. */
template <class T>
DEVICE void store_block_sum(T *row, const Columns &sum, f32 *memory, i32 dim) {
  store_scaled(memory + warp() * dim, sum, 1.0f, dim);
  __syncthreads();
  for (i32 d = (i32)threadIdx.x; d < dim; d += (i32)blockDim.x) {
    f32 total = 0.0f;
    for (i32 w = 0; w < warps(); w++) total += memory[w * dim + d];
    store(row + d, total);
  }
  __syncthreads(); /* the sums have been read */
}

/*
 * Sets row t = blockIdx.x of the gradients of posKey and posQuery, unless NULL: the sums, over all
 * pairs (i, j) with that relative row, of gradient[i, j] times q_i and k_j. Each warp has its own
 * queries, so that no atomics are needed.
 */
template <class T>
DEVICE void attend_positions_backward(T *dpos_key, T *dpos_query, const Pairs &pairs, const T *q,
                                      const T *k, i32 sequences, const Disentangled &s) {
  DYNAMIC_SHARED(f32, memory);
  const i32 dim = s.dim, width = s.heads * dim, column = head_of_block(s) * dim,
            t = (i32)blockIdx.x;
  u32 *bits = reinterpret_cast<u32 *>(memory + warps() * dim);
  const bool used = find_differences(bits, s, t);
  const i64 at = (i64)t * width + column;
  if (!used) {
    for (i32 d = (i32)threadIdx.x; d < dim; d += (i32)blockDim.x) {
      if (dpos_key) store(dpos_key + at + d, 0.0f);
      if (dpos_query) store(dpos_query + at + d, 0.0f);
    }
    return;
  }
  Columns key_sum = {}, query_sum = {};
  for (i32 word = 0; word * WARP < 2 * s.span - 1; word++) {
    for (u32 left = bits[word]; left != 0; left &= left - 1) {
      const i32 difference = word * WARP + __ffs((i32)left) - s.span;
      for (i32 b = 0; b < sequences; b++) {
        const Sequence sequence = sequence_of(s, b);
        if (sequence.n == 0) continue;
        for (i32 i = warp(); i < sequence.queries; i += warps()) {
          const i32 j = key_at(s, sequence, s.positions[sequence.start + i] - difference);
          if (j < 0) continue;
          const i32 query_row = sequence.query_start + i;
          const f32 gradient = pairs.gradients[pairs_at(pairs, (i32)blockIdx.y, query_row) + j];
          if (dpos_key) add_scaled(key_sum, gradient, q + (i64)query_row * width + column, dim);
          if (dpos_query)
            add_scaled(query_sum, gradient, k + (i64)(sequence.start + j) * width + column, dim);
        }
      }
    }
  }
  if (dpos_key) store_block_sum(dpos_key + at, key_sum, memory, dim);
  if (dpos_query) store_block_sum(dpos_query + at, query_sum, memory, dim);
}

#define DISENTANGLED(T)                                                                          \
  KERNEL void disentangled_##T(T *out, f32 *log_sums, i32 query_rows, const T *q, const T *k,    \
                               const T *v, const T *pos_key, const T *pos_query,                 \
                               DISENTANGLED_PARAMETERS, DROPOUT_PARAMETERS) {                    \
    attend(out, log_sums, query_rows, q, k, v, pos_key, pos_query, DISENTANGLED_ARGUMENTS,       \
           DROPOUT_ARGUMENTS);                                                                   \
  }                                                                                              \
  KERNEL void disentangled_queries_backward_##T(                                                 \
      T *dq, PAIRS_PARAMETERS, const T *dout, const T *out, const f32 *log_sums, const T *q,     \
      const T *k, const T *v, const T *pos_key, const T *pos_query, DISENTANGLED_PARAMETERS,     \
      DROPOUT_PARAMETERS) {                                                                      \
    attend_queries_backward(dq, PAIRS_ARGUMENTS, dout, out, log_sums, q, k, v, pos_key,          \
                            pos_query, DISENTANGLED_ARGUMENTS, DROPOUT_ARGUMENTS);               \
  }                                                                                              \
  KERNEL void disentangled_keys_backward_##T(T *dk, T *dv, PAIRS_PARAMETERS, const T *dout,      \
                                             const T *q, const T *pos_query,                     \
                                             DISENTANGLED_PARAMETERS) {                          \
    attend_keys_backward(dk, dv, PAIRS_ARGUMENTS, dout, q, pos_query, DISENTANGLED_ARGUMENTS);   \
  }                                                                                              \
  KERNEL void disentangled_positions_backward_##T(                                               \
      T *dpos_key, T *dpos_query, PAIRS_PARAMETERS, const T *q, const T *k, i32 sequences,       \
      DISENTANGLED_PARAMETERS) {                                                                 \
    attend_positions_backward(dpos_key, dpos_query, PAIRS_ARGUMENTS, q, k, sequences,            \
                              DISENTANGLED_ARGUMENTS);                                           \
  }

DISENTANGLED(f32)
DISENTANGLED(bf16)
