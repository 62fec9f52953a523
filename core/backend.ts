/** Numbers a buffer can hold. "f64" exists on the reference backend alone. */
export type DType = "f64" | "f32" | "bf16" | "i32";

/** Storage on a device. What is behind it only its backend knows: the host reads numbers by `download`. */
export interface Buffer {
  readonly dtype: DType;
  /** Elements, not bytes. */
  readonly length: number;
}

export type HostArray = Float64Array | Float32Array | Int32Array;

/** Bytes as a checkpoint stores them; `bytes` may be a view of a mapped file. */
export interface HostTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/**
 * Inverted dropout with a counter-based mask: element (row, col) is kept where
 * philox(counter = [col >> 2, row, site, step], key = seed)[col & 3] >= floor(probability * 2^32),
 * and is then scaled by 1 / (1 - probability). Nothing is stored; backward draws the same mask again.
 */
export interface Dropout {
  readonly probability: number;
  readonly seed: readonly [low: number, high: number];
  readonly step: number;
  readonly site: number;
}

export type ActivationKind = "gelu" | "gelu_new" | "relu" | "tanh";

/** C[m,n] = op(A) op(B) + beta C, row-major. Leading dimensions default to the packed ones. */
export interface GemmShape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transA?: boolean;
  readonly transB?: boolean;
  readonly beta?: 0 | 1;
  readonly lda?: number;
  readonly ldb?: number;
  readonly ldc?: number;
}

/** Sequences laid end to end: sequence b owns rows offsets[b] .. offsets[b+1]. */
export interface Packing {
  readonly sequences: number;
  readonly tokens: number;
  /** i32 [sequences + 1], and the same numbers for the host, which made them. */
  readonly offsets: Buffer;
  readonly hostOffsets: Int32Array;
  /** i32 [tokens]: position of each token in its sequence before padding was dropped. */
  readonly positions: Buffer;
  /** Largest difference of two positions within a sequence, plus one. */
  readonly span: number;
}

/**
 * Disentangled attention (DeBERTa, He et al. 2021) over packed rows. For query i and key j of one sequence, per head:
 *   S[i,j] = (q_i.k_j + q_i.posKey[t] + k_j.posQuery[t]) / scale,   t = relative[pos_i - pos_j + span - 1]
 *   out_i = sum_j dropout(softmax_j(S))[i,j] v_j
 * q, k, v, out: [tokens, heads * headDim]; posKey (c2p), posQuery (p2c): [relativeRows, heads * headDim], either may be absent.
 * Dropout's row is head * tokens + the query's token, its column the key's place in its sequence.
 */
export interface DisentangledShape {
  readonly packing: Packing;
  /** "first": only the first token of each sequence asks, so that q and out are [sequences, heads * headDim]. */
  readonly queries: "all" | "first";
  readonly heads: number;
  readonly headDim: number;
  readonly scale: number;
  /** i32 [2 * span - 1]: row of posKey/posQuery for each difference of positions, from -(span-1) to span-1. */
  readonly relative: Buffer | undefined;
  readonly relativeRows: number;
  readonly dropout: Dropout | undefined;
}

/** Operands of disentangled attention, or their gradients. */
export interface DisentangledInputs extends AttentionInputs {
  readonly posKey: Buffer | undefined;
  readonly posQuery: Buffer | undefined;
}

/** How many probabilities disentangled attention has: n * n for each sequence and head, n where first tokens ask. */
export function probabilities({ packing, queries, heads }: DisentangledShape): number {
  const { sequences, hostOffsets } = packing;
  let sum = 0;
  for (let b = 0; b < sequences; b++) {
    const n = hostOffsets[b + 1]! - hostOffsets[b]!;
    sum += queries === "first" ? n : n * n;
  }
  return heads * sum;
}

/** Operands of attention, or their gradients. */
export interface AttentionInputs {
  readonly q: Buffer;
  readonly k: Buffer;
  readonly v: Buffer;
}

/** Sequences laid end to end, without positions. */
export type Sequences = Pick<Packing, "sequences" | "tokens" | "offsets" | "hostOffsets">;

/**
 * Multi-head attention (Vaswani et al. 2017) of packed queries to packed keys: sequence b of the queries sees sequence b of the
 * keys. For query i of n and key j of m, per head:
 *   S[i,j] = q_i.k_j / scale,   out_i = sum_j dropout(softmax_j(S))[i,j] v_j
 * `causal`: query i sees the keys j <= i + m - n, so that the last query sees all. A query that sees no key gets zeros.
 * q, out: [queries.tokens, heads * headDim]; k, v: [keys.tokens, heads * headDim].
 * Dropout's row is head * queries.tokens + the query's row, its column the key's place in its sequence.
 */
export interface AttentionShape {
  readonly queries: Sequences;
  readonly keys: Sequences;
  readonly heads: number;
  readonly headDim: number;
  readonly scale: number;
  readonly causal: boolean;
  readonly dropout: Dropout | undefined;
}

/**
 * Attention of queries that each have `count` keys of their own choice: query r sees the rows index[r * count ..] of k and v. Per head:
 *   S[r,j] = q_r.k_row(r,j) / scale,   out_r = sum_j softmax_j(S)[r,j] v_row(r,j)
 * q, out: [rows, heads * headDim]; k, v: [any, heads * headDim]. For writing: the earlier tokens of a text lie where they were made.
 */
export interface ChosenRowsShape {
  readonly rows: number;
  /** At least 1. */
  readonly count: number;
  readonly heads: number;
  readonly headDim: number;
  readonly scale: number;
}

/** Which classes `topLogProbabilities` looks for. */
export interface TopShape {
  readonly rows: number;
  readonly classes: number;
  /** Classes wanted of each row. */
  readonly count: number;
  /** i32 [n, 2] of (row, class): never among the best. */
  readonly banned: Buffer | undefined;
  /** i32 [n, 2] of (row, class), each pair once: a score s is s * penalty below 0, s / penalty above. */
  readonly repeated: Buffer | undefined;
  readonly penalty: number;
  /**
   * Whether scores are log-probabilities before they are banned and penalised, as in transformers' beam search, or the classes that are
   * left share the probability among them, as in its greedy search.
   */
  readonly normalise: "before" | "after";
}

/** Rows of logits whose labels are counted unless they are `ignoredLabel`. */
export interface VocabularyShape {
  readonly rows: number;
  readonly classes: number;
  /** Share of the target that is spread over all classes: 0 for one-hot targets. */
  readonly smoothing: number;
  /** Of each counted row in the loss. */
  readonly weight: number;
}

/** The label of a row that the loss leaves out, as torch has it. */
export const ignoredLabel = -100;

/** Where the span loss finds each sequence's rows; targets are i32 [2, sequences]: a row of the batch, or -1. */
export interface SpanShape {
  readonly sequences: number;
  readonly rows: number;
  /** i32 [sequences + 1]. */
  readonly offsets: Buffer;
  /** i32 [2, sequences]: each sequence's padding row (-1 for none), then how many rows of padding it stands for. */
  readonly padding: Buffer;
}

export interface AdamWStep {
  /** "adamw": torch (decay first, eps outside the bias-corrected root). "adamw-hf": eps before bias correction, decay last. */
  readonly variant: "adamw" | "adamw-hf";
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  readonly weightDecay: number;
  /** 1-based count of updates, for the bias correction. */
  readonly t: number;
}

/** An increment scale * h diag(e) factor (paper eq. 3; its gradient has the same form). */
export interface LowRankProduct {
  /** [rows, rank] */
  readonly h: Buffer;
  /** [rank]; absent: all 1, as in LoRA. Of a triplet that is 0 here, as a mask leaves it, nothing is read, NaN neither. */
  readonly e: Buffer | undefined;
  readonly scale: number;
  /** [rank, cols], or [cols, rank] when `transposed`. */
  readonly factor: Buffer;
  readonly transposed: boolean;
  readonly rank: number;
}

/** Moving averages of one factor: sensitivity (paper eq. 9) and uncertainty (eq. 10). */
export interface Averages {
  readonly sensitivity: Buffer;
  readonly uncertainty: Buffer;
}

/** How a parameter's averages follow its updates. */
export interface Importance extends Averages {
  readonly beta1: number;
  readonly beta2: number;
}

/** The triplets of one adapter: A [rank, inFeatures], E [rank] (absent for LoRA's doublets), B [outFeatures, rank]. */
export interface Triplets {
  readonly a: Averages;
  readonly e: Averages | undefined;
  readonly b: Averages;
  /** [rank] */
  readonly scores: Buffer;
  readonly rank: number;
  readonly inFeatures: number;
  readonly outFeatures: number;
}

/** A matrix [rows, cols] whose rows, or columns, are kept (1) or zeroed (0). */
export interface MaskedMatrix {
  readonly param: Buffer;
  /** [rows], or [cols] when `columns`. */
  readonly kept: Buffer;
  readonly rows: number;
  readonly cols: number;
  readonly columns: boolean;
}

/** A matrix whose rows, factor [rank, width], or columns, factor [width, rank], are to be orthonormal. */
export interface OrthogonalFactor {
  readonly factor: Buffer;
  /** As the factor; absent where it is not trained. */
  readonly grad: Buffer | undefined;
  readonly rank: number;
  readonly width: number;
  readonly columns: boolean;
}

/**
 * A table of coarse kernels over opaque buffers. No shape rules and no autograd here: ops have checked their inputs.
 * Each entry says what it sets and what it adds to. All matrices are row-major and packed unless a stride is given.
 * Kernels may run later than the call: only `download` waits.
 */
export interface Backend {
  readonly name: string;
  /** Type of activations and frozen weights, and type of everything that is trained, summed or averaged. */
  readonly activation: DType;
  readonly master: DType;

  // --- memory ---
  /** Contents are undefined. */
  alloc(dtype: DType, length: number): Buffer;
  free(buffer: Buffer): void;
  /** A part of `buffer` that shares its storage; it is not freed by itself. */
  view(buffer: Buffer, offset: number, length: number): Buffer;
  zero(buffer: Buffer): void;
  copy(to: Buffer, from: Buffer): void;
  upload(to: Buffer, from: ArrayLike<number>): void;
  download(from: Buffer): HostArray;
  /** A read-only buffer with a checkpoint's tensor: used in place where type and place allow, else converted. */
  adopt(tensor: HostTensor, dtype: DType): Buffer;
  /** Bytes allocated and not freed, without adopted weights; and the highest it has been. */
  memory(): { readonly live: number; readonly peak: number };

  // --- matrix products and their companions ---
  gemm(a: Buffer, b: Buffer, c: Buffer, shape: GemmShape): void;
  /** y[rows, cols] += increment (+ bias); then, where `activated` is given, sets its buffer, which may be y, to f(y). */
  addLowRank(
    y: Buffer,
    increment: LowRankProduct,
    bias: Buffer | undefined,
    shape: { rows: number; cols: number },
    activated?: { kind: ActivationKind; buffer: Buffer },
  ): void;
  /**
   * The increment's factor gets its gradient, where the increment's own is dy[rows, cols]: gradient += scale * diag(e) h^T dy, or the
   * transpose of that when `transposed`.
   */
  addFactorGradient(
    dy: Buffer,
    increment: Omit<LowRankProduct, "factor">,
    gradient: Buffer,
    shape: { rows: number; cols: number },
  ): void;
  /** y[rows, cols] += bias[cols]. */
  addBias(y: Buffer, bias: Buffer, rows: number, cols: number): void;
  /** sum[cols] += sum over rows of x[rows, cols]. */
  addColumnSums(x: Buffer, sum: Buffer, rows: number, cols: number): void;
  /** dots[c] += factor * sum over r of x[r,c] * y[r,c]. */
  addColumnDots(
    x: Buffer,
    y: Buffer,
    factor: number,
    dots: Buffer,
    rows: number,
    cols: number,
  ): void;

  // --- element-wise ---
  /** y += x. */
  add(y: Buffer, x: Buffer): void;
  /** y = x * factor; may be in place. */
  scale(x: Buffer, factor: number, y: Buffer): void;
  /** y = x * s[0], s a device scalar; may be in place. */
  scaleBy(x: Buffer, s: Buffer, y: Buffer): void;
  activate(kind: ActivationKind, x: Buffer, y: Buffer): void;
  /** dx = dy * f'(x); sets dx, which may be dy. */
  activationBackward(kind: ActivationKind, x: Buffer, dy: Buffer, dx: Buffer): void;
  /** y = dropout(x); sets y, which may be x. It is its own backward. */
  dropout(x: Buffer, y: Buffer, rows: number, cols: number, dropout: Dropout): void;

  // --- rows ---
  /** y[r] = table[ids[r]], or += when `add`. */
  gatherRows(
    table: Buffer,
    ids: Buffer,
    y: Buffer,
    shape: { rows: number; cols: number; add: boolean },
  ): void;
  /** table[ids[r]] += dy[r]; rows are added in order, so that the sum repeats exactly. */
  scatterAddRows(dy: Buffer, ids: Buffer, table: Buffer, rows: number, cols: number): void;
  /** y[r, c * width + t] = x[neighbours[r * width + t], c], 0 where the neighbour is -1. Sets y. */
  unfold(
    x: Buffer,
    neighbours: Buffer,
    y: Buffer,
    shape: { rows: number; cols: number; width: number },
  ): void;
  /** dx[neighbours[r * width + t], c] += dy[r, c * width + t]. */
  foldAdd(
    dy: Buffer,
    neighbours: Buffer,
    dx: Buffer,
    shape: { rows: number; cols: number; width: number },
  ): void;

  // --- normalisation ---
  /**
   * x := residual + dropout(x) in place (either may be absent), then y = (x - mean) * rstd * weight + bias per row.
   * Sets y, mean [rows], rstd [rows].
   */
  addLayerNorm(
    x: Buffer,
    residual: Buffer | undefined,
    weight: Buffer,
    bias: Buffer,
    out: { y: Buffer; mean: Buffer; rstd: Buffer },
    shape: { rows: number; cols: number; eps: number; dropout: Dropout | undefined },
  ): void;
  /**
   * From the saved sum x: sets dsum [rows, cols], which may be dy; where dropout was on, sets dx = mask * dsum too;
   * adds to dweight and dbias where they are given.
   */
  addLayerNormBackward(
    dy: Buffer,
    x: Buffer,
    weight: Buffer,
    stats: { mean: Buffer; rstd: Buffer },
    out: {
      dsum: Buffer;
      dx: Buffer | undefined;
      dweight: Buffer | undefined;
      dbias: Buffer | undefined;
    },
    shape: { rows: number; cols: number; dropout: Dropout | undefined },
  ): void;

  // --- attention ---
  /** Sets out; sets probs (softmax before dropout, per sequence and head: n * n numbers, n where first tokens ask) where given. */
  disentangledAttention(
    inputs: DisentangledInputs,
    results: { out: Buffer; probs: Buffer | undefined },
    shape: DisentangledShape,
  ): void;
  /** Sets every gradient that is given, all rows of it. */
  disentangledAttentionBackward(
    dout: Buffer,
    inputs: DisentangledInputs,
    probs: Buffer,
    grads: DisentangledInputs,
    shape: DisentangledShape,
  ): void;

  /** Sets out; sets logSumExp [heads, queries.tokens] of S's rows, in the master type, where given (-Infinity where no key is seen). */
  attention(
    inputs: AttentionInputs,
    results: { out: Buffer; logSumExp: Buffer | undefined },
    shape: AttentionShape,
  ): void;
  /** Sets the three gradients. `out` and `logSumExp` are the forward's: the probabilities are computed anew. */
  attentionBackward(
    dout: Buffer,
    inputs: AttentionInputs & { out: Buffer; logSumExp: Buffer },
    grads: AttentionInputs,
    shape: AttentionShape,
  ): void;

  /** Sets out. */
  attendChosenRows(
    inputs: AttentionInputs & { index: Buffer },
    out: Buffer,
    shape: ChosenRowsShape,
  ): void;

  // --- writing ---
  /**
   * The classes with the highest log softmax(logits + bias) of each row, best first, the lower one first of equals. Sets scores
   * [rows, count] in the master type and ids i32 [rows, count]; where fewer than `count` are left, the rest are -Infinity and -1. Of a
   * row with NaN or Infinity among its logits they are NaN and -1. logits [rows, classes] and bias [classes] in the master type; logits
   * are overwritten.
   */
  topLogProbabilities(
    logits: Buffer,
    bias: Buffer,
    out: { ids: Buffer; scores: Buffer },
    shape: TopShape,
  ): void;

  // --- losses; logits and dlogits in the activation type, loss in the master type ---
  /** Sets loss[0] to the mean of -log softmax(logits)[label] over rows, and dlogits to its gradient. */
  crossEntropy(
    logits: Buffer,
    labels: Buffer,
    loss: Buffer,
    dlogits: Buffer,
    rows: number,
    classes: number,
  ): void;
  /**
   * For each row whose label is not `ignoredLabel`, with p = softmax(logits + bias): adds
   * weight * ((1 - smoothing) * -log p[label] + smoothing * mean over classes of -log p) to loss[0].
   * Sets dlogits, where given, to the gradient, 0 in rows left out; it may be logits. logits and bias [classes] in the master type.
   */
  addVocabularyLoss(
    logits: Buffer,
    bias: Buffer,
    labels: Buffer,
    loss: Buffer,
    dlogits: Buffer | undefined,
    shape: VocabularyShape,
  ): void;
  /** Sets loss[0] to the mean of (prediction - target)^2 over rows, and dprediction to its gradient. */
  meanSquaredError(
    prediction: Buffer,
    target: Buffer,
    loss: Buffer,
    dprediction: Buffer,
    rows: number,
  ): void;

  /**
   * The loss of answer spans. logits [rows, 2]: columns are start and end. For each column, over the sequences whose target is not
   * -1, the mean of logsumexp(logits of the sequence) - logits[target]; loss[0] is the mean of both columns' (NaN where every
   * sequence is left out), dlogits its gradient; both set. A sequence's padding is one row that counts `multiplicity` times.
   */
  spanLoss(logits: Buffer, targets: Buffer, loss: Buffer, dlogits: Buffer, shape: SpanShape): void;

  // --- training; all in the master type ---
  /** sum[0] = sum of squares of x. */
  sumOfSquares(x: Buffer, sum: Buffer): void;
  /**
   * norm[0] = sqrt(sumOfSquares[0]); with maxNorm > 0, grad *= min(1, maxNorm / (norm + 1e-6)), as torch's clip_grad_norm_.
   */
  clipByNorm(grad: Buffer, sumOfSquares: Buffer, maxNorm: number, norm: Buffer): void;
  /**
   * One AdamW update of param, m and v from grad. Then, where `importance` is given, with the new param: I = |param * grad|;
   * sensitivity = beta1 * sensitivity + (1 - beta1) * I;
   * uncertainty = beta2 * uncertainty + (1 - beta2) * |I - sensitivity|, with the new sensitivity.
   */
  adamw(
    param: Buffer,
    grad: Buffer,
    m: Buffer,
    v: Buffer,
    step: AdamWStep,
    importance?: Importance,
  ): void;
  /**
   * Of each adapter: scores[i] = s(E_i) + mean over columns of s(A_i) + mean over rows of s(B_i), set. Without E its term is left out.
   * s is the smoothed sensitivity times its uncertainty (paper eq. 9-11), or without `uncertainty` the sensitivity alone.
   */
  tripletScores(adapters: readonly Triplets[], uncertainty: boolean): void;
  /** y = |x|. */
  absolute(x: Buffer, y: Buffer): void;
  /**
   * threshold[0] = the (length - budget)-th smallest score; kept[i] = score > threshold ? 1 : 0, set.
   * With budget = length nothing is pruned: all kept, threshold[0] = NaN.
   */
  keepTop(scores: Buffer, budget: number, kept: Buffer, threshold: Buffer): void;
  /** Of each matrix: param[r, c] *= kept[r], or *= kept[c] when `columns`. */
  applyMask(matrices: readonly MaskedMatrix[]): void;
  /**
   * Of each factor, M = P P^T - I with the vectors that are to be orthonormal as P's rows:
   * norm[0] += weight * ||M||_F; grad += gradWeight * weight * d||M||_F / dP where grad is given.
   */
  orthogonality(
    factors: readonly OrthogonalFactor[],
    norm: Buffer,
    weights: { readonly weight: number; readonly gradWeight: number },
  ): void;
}
