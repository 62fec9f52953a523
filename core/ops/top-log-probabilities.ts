import type { Buffer } from "../backend.ts";
import type { TopShape } from "../kernels/decoding.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Tensor } from "../tensor.ts";

/** Constraints on the choice; `banned` and `repeated` are flat lists of (row, class) pairs. */
export interface TokenChoice extends Pick<TopShape, "count" | "penalty" | "normalise"> {
  readonly banned: readonly number[];
  readonly repeated: readonly number[];
}

/**
 * The best tokens of each row on the host, best first: [rows, count]; -1 and -Infinity where fewer
 * than `count` are left.
 */
export interface TopTokens {
  readonly ids: ArrayLike<number>;
  readonly scores: ArrayLike<number>;
}

/** Logits in memory at once: 64 MiB in f32. */
const CHUNK_ELEMENTS = 2 ** 24;

/**
 * The tokens with the highest log softmax(hidden W^T + bias); see `Backend.topLogProbabilities`.
 * Nothing of [N, V] reaches the host. hidden: [N, C]; W: [V, C]; bias: [V]. Logits are in the
 * master dtype. It has no backward.
 */
export function topLogProbabilities(
  pass: ForwardPass,
  {
    hidden,
    weight,
    bias,
  }: { readonly hidden: Tensor; readonly weight: Tensor; readonly bias: Tensor },
  choice: TokenChoice,
): TopTokens {
  const [rows, classes, width] = [hidden.shape[0] ?? 0, weight.shape[0] ?? 0, weight.shape[1] ?? 0];
  if (hidden.shape[1] !== width || bias.shape[0] !== classes) {
    const rule = "hidden must be [N, C] and bias [V] for a weight of [V, C]";
    throw errors.shape("topLogProbabilities", rule, { hidden, weight, bias });
  }
  const { backend } = pass;
  const { count } = choice;
  const [ids, scores] = [new Int32Array(rows * count), new Float64Array(rows * count)];
  const chunk = Math.max(1, Math.floor(CHUNK_ELEMENTS / classes));
  for (let first = 0; first < rows; first += chunk) {
    const chunkRows = Math.min(chunk, rows - first);
    pass.scope(() => {
      const logits = pass.allocateMaster(chunkRows * classes);
      const from = backend.view(hidden.buffer, first * width, chunkRows * width);
      const product = { m: chunkRows, n: classes, k: width, transB: true };
      backend.gemm(from, weight.buffer, logits, product);
      const out = {
        ids: pass.integers(new Int32Array(chunkRows * count)),
        scores: pass.allocateMaster(chunkRows * count),
      };
      const pairs = (all: readonly number[]) => pairsOf(pass, all, first, chunkRows);
      const shape = {
        ...choice,
        rows: chunkRows,
        classes,
        banned: pairs(choice.banned),
        repeated: pairs(choice.repeated),
      };
      backend.topLogProbabilities(logits, bias.buffer, out, shape);
      ids.set(backend.download(out.ids), first * count);
      scores.set(backend.download(out.scores), first * count);
    });
  }
  return { ids, scores };
}

/** The pairs of rows [first, first + rows), counted from `first`; undefined if there are none. */
function pairsOf(
  pass: ForwardPass,
  pairs: readonly number[],
  first: number,
  rows: number,
): Buffer | undefined {
  const selected: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const row = pairs[i]! - first;
    if (row >= 0 && row < rows) selected.push(row, pairs[i + 1]!);
  }
  return selected.length === 0 ? undefined : pass.integers(selected);
}
