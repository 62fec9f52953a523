/* Structs that TypeScript packs. A kernel with many arguments takes a pointer to one. The layouts
 * in ffi/cpu/backend/ must match; test/ffi/cpu/struct.test.ts compares them. */
#pragma once

#include "activation-type.h"
#include "philox.h"

/* Shape of disentangled attention over packed sequences. */
typedef struct {
  int sequences, tokens, longest; /* longest: rows of the longest sequence */
  int heads, head_dim;
  float scale;
  const int32_t *offsets, *positions; /* [sequences + 1], [tokens] */
  int span;
  const int32_t *relative; /* [2 span - 1], NULL without posKey and posQuery */
  int relative_rows;
  const adl_dropout *dropout; /* NULL for no dropout */
} attention_shape;

/* Arguments of the disentangled attention kernels, forward and backward. */
typedef struct {
  const act *q, *k, *v, *pos_key, *pos_query; /* pos_key and pos_query may be NULL */
  act *out;                                   /* forward: set */
  act *probs;                                 /* forward: set unless NULL; backward: read */
  const act *dout;                            /* this and the gradients: backward only */
  act *dq, *dk, *dv, *dpos_key, *dpos_query;
  attention_shape shape;
  float *scratch; /* adl_attention_scratch floats */
} attention_args;

/* Shape of multi-head attention of packed queries to packed keys. */
typedef struct {
  int sequences, queries, keys;      /* queries, keys: total rows */
  int longest_queries, longest_keys; /* query and key rows of the longest sequence */
  const int32_t *query_offsets, *key_offsets;
  int heads, key_heads, head_dim; /* key_heads divides heads */
  float scale;
  int causal;
  int window;                       /* largest distance of a visible key; -1 for any */
  int64_t query_stride, key_stride; /* row strides of q and dq, and of k, v, dk and dv */
  const adl_dropout *dropout;       /* NULL for no dropout */
} multi_head_shape;

/* Arguments of the multi-head attention kernels, forward and backward. */
typedef struct {
  const act *q, *k, *v;
  act *out;           /* forward: set; backward: read */
  float *log_sum_exp; /* forward: set unless NULL; backward: read */
  const act *dout;    /* this and the gradients: backward only */
  act *dq, *dk, *dv;
  multi_head_shape shape;
  float *scratch; /* adl_multi_head_scratch floats */
} multi_head_args;

/* Arguments of add_low_rank. */
typedef struct {
  act *y;                             /* [rows, cols], rows `stride` apart */
  const float *h, *e, *factor, *bias; /* e and bias may be NULL */
  act *activated;                     /* [rows, cols], may be y or NULL; needs packed rows */
  int64_t rows, cols, stride, rank;
  float scale;
  int transposed, kind; /* kind: enum activation */
  float *scratch;       /* adl_low_rank_scratch floats */
} low_rank_args;

/* Arguments of add_layer_norm_bwd. */
typedef struct {
  const act *dy, *x;                 /* [rows, cols] */
  const float *weight, *mean, *rstd; /* [cols], [rows], [rows] */
  act *dsum, *dx;                    /* [rows, cols]; dsum may be dy, dx may be NULL */
  float *dweight, *dbias;            /* [cols], may be NULL */
  int64_t rows, cols;
  const adl_dropout *dropout; /* NULL for no dropout */
  float *scratch;             /* adl_layer_norm_bwd_scratch floats */
} layer_norm_bwd_args;

/* Arguments of top_log_probabilities. */
typedef struct {
  float *logits;     /* [rows, classes] */
  const float *bias; /* [classes] */
  float *scores;     /* [rows, count] */
  int32_t *ids;      /* [rows, count] */
  int64_t rows, classes, count;
  const int32_t *banned, *repeated; /* pairs of (row, class) */
  int64_t bans, repeats;            /* counts of pairs */
  float penalty;
  int after; /* normalise after penalties and bans, not before */
} top_log_probabilities_args;

/* Importance averages of an adapter's factors A [rank, in], E [rank] and B [out, rank]. Those of E
 * may be NULL, and so may all uncertainties. */
typedef struct {
  const float *a_sensitivity, *a_uncertainty, *e_sensitivity, *e_uncertainty, *b_sensitivity,
      *b_uncertainty;
  float *scores; /* [rank] */
  int64_t rank, in_features, out_features;
} adl_triplets;

/* A matrix of which each row, or column if `columns`, is kept (1) or zeroed (0). */
typedef struct {
  float *param;
  const float *kept;
  int64_t rows, cols, columns;
} adl_masked;

/* A factor regularised towards orthonormal vectors: the rows of [rank, width], or the columns of
 * [width, rank] if `columns`. grad may be NULL. */
typedef struct {
  const float *factor;
  float *grad;
  int64_t rank, width, columns;
} adl_orthogonal;

/*
 * AdamW's constants for one step, with c = 1 - beta^t. torch's order: before = 1 - lr wd, step_size
 * = lr / c1, root_factor = 1 / sqrt(c2), after = 1. The order of older transformers: before = 1,
 * step_size = lr sqrt(c2) / c1, root_factor = 1, after = 1 - lr wd.
 */
typedef struct {
  float beta1, one_minus_beta1, beta2, one_minus_beta2, eps, step_size, root_factor, before, after;
} adl_adamw_step;

/* Betas of AdaLoRA's importance averages. */
typedef struct {
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
} adl_smoothing;
