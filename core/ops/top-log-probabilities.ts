import type { Buffer } from "../backend.ts";
import type { TopShape } from "../kernels/decoding.ts";
import { errors } from "../errors.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Tensor } from "../tensor.ts";

/** What may be chosen; pairs are (row, class), one behind the other. */
export interface TokenChoice extends Pick<TopShape, "count" | "penalty" | "normalise"> {
  readonly banned: readonly number[];
  readonly repeated: readonly number[];
}

/** The best tokens of each row, best first, for the host: [rows, count]; -1 and -Infinity where too few are left. */
export interface TopTokens {
  readonly ids: ArrayLike<number>;
  readonly scores: ArrayLike<number>;
}

/** Logits that are held at once: 64 MiB in f32. */
const CHUNK_NUMBERS = 2 ** 24;

/**
 * The tokens with the highest log softmax(hidden W^T + bias), as `Backend.topLogProbabilities` finds them: nothing of [N, V] reaches the
 * host. hidden: [N, C], W: [V, C], bias: [V]. Logits are in the master type. It has no backward.
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
  const chunk = Math.max(1, Math.floor(CHUNK_NUMBERS / classes));
  for (let first = 0; first < rows; first += chunk) {
    const some = Math.min(chunk, rows - first);
    pass.scope(() => {
      const logits = pass.allocateMaster(some * classes);
      const from = backend.view(hidden.buffer, first * width, some * width);
      const product = { m: some, n: classes, k: width, transB: true };
      backend.gemm(from, weight.buffer, logits, product);
      const out = {
        ids: pass.integers(new Int32Array(some * count)),
        scores: pass.allocateMaster(some * count),
      };
      const pairs = (all: readonly number[]) => pairsOf(pass, all, first, some);
      const shape = {
        ...choice,
        rows: some,
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

/** The pairs of rows [first, first + rows), counted from `first`; undefined where there are none. */
function pairsOf(
  pass: ForwardPass,
  pairs: readonly number[],
  first: number,
  rows: number,
): Buffer | undefined {
  const some: number[] = [];
  for (let i = 0; i < pairs.length; i += 2) {
    const row = pairs[i]! - first;
    if (row >= 0 && row < rows) some.push(row, pairs[i + 1]!);
  }
  return some.length === 0 ? undefined : pass.integers(some);
}
