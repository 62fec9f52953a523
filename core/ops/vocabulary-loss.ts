import type { Buffer } from "../backend.ts";
import { ignoredLabel } from "../kernels/losses.ts";
import { errors } from "../errors.ts";
import { type InputsOf, defineOp } from "../op.ts";
import type { ForwardPass } from "../forward-pass.ts";
import type { Tensor } from "../tensor.ts";

const INPUTS = { hidden: "required", weight: "required" } as const;
type Inputs = InputsOf<typeof INPUTS>;

interface Attrs {
  /** [V]; never trained. */
  readonly bias: Tensor;
  /** [N], integers below V; rows labelled `ignoredLabel` are left out. */
  readonly labels: Int32Array;
  /** Label smoothing: the share of each target that is spread over the vocabulary. */
  readonly smoothing: number;
}

/** Logits in memory at once: 64 MiB in f32. */
const CHUNK_ELEMENTS = 2 ** 24;

/**
 * Cross entropy of hidden W^T + bias over a vocabulary, averaged over the counted rows, as torch's
 * cross_entropy with `label_smoothing` and `ignore_index` (NaN if no row counts).
 * hidden: [N, C]; W: [V, C]; bias: [V]; labels: [N]; loss: [1].
 *
 * Logits [N, V] would be the model's largest tensor by far, so they are computed a few rows at a
 * time, and the gradients with them. Saves the gradients, [N, C], and [V, C] if W is trained;
 * backward only scales them.
 */
export const vocabularyLoss = defineOp({
  name: "vocabularyLoss",
  inputs: INPUTS,

  forward(pass, { hidden, weight }, attrs: Attrs, recording) {
    checkShapes({ hidden, weight }, attrs);
    const [classes, width] = [weight.shape[0] ?? 0, weight.shape[1] ?? 0];
    const { labels } = attrs;
    const counted = labels.reduce((n, label) => n + (label === ignoredLabel ? 0 : 1), 0);
    const out = pass.allocateMaster(1);
    pass.backend.upload(out, [counted === 0 ? Number.NaN : 0]);
    const gradients = {
      hidden: recording && hidden.requiresGrad ? pass.allocate(hidden.buffer.length) : undefined,
      weight: recording && weight.requiresGrad ? pass.allocateMaster(classes * width) : undefined,
    };
    const chunk = Math.max(1, Math.floor(CHUNK_ELEMENTS / classes));
    for (let first = 0; first < labels.length; first += chunk) {
      const rows = Math.min(chunk, labels.length - first);
      const share = { first, rows, weight: counted === 0 ? 0 : 1 / counted };
      pass.scope(() =>
        accumulateRows(pass, { hidden, weight }, attrs, share, { loss: out, ...gradients }),
      );
    }
    if (gradients.weight && labels.length === 0) pass.backend.zero(gradients.weight);
    const keep = Object.values(gradients).filter((buffer) => buffer !== undefined);
    return { shape: [1], out, saved: { gradients }, keep };
  },

  backward(pass, dloss, { gradients }, sinks) {
    for (const name of ["hidden", "weight"] as const) {
      const [sink, gradient] = [sinks[name], gradients[name]];
      if (!sink.needed || !gradient) continue;
      pass.backend.scaleBy(gradient, dloss, gradient);
      sink.give(gradient);
    }
  },
});

interface Rows {
  readonly first: number;
  readonly rows: number;
  /** Weight of each counted row in the loss. */
  readonly weight: number;
}

interface Results {
  readonly loss: Buffer;
  readonly hidden: Buffer | undefined;
  readonly weight: Buffer | undefined;
}

/**
 * Processes a chunk of rows: adds their loss, sets their part of d(hidden), and adds to d(weight),
 * which the first chunk sets.
 */
function accumulateRows(
  pass: ForwardPass,
  { hidden, weight }: Inputs,
  { bias, labels, smoothing }: Attrs,
  { first, rows, weight: share }: Rows,
  results: Results,
): void {
  const { backend } = pass;
  const [classes, width] = [weight.shape[0] ?? 0, weight.shape[1] ?? 0];
  const rowsOf = (buffer: Buffer) => backend.view(buffer, first * width, rows * width);
  const hiddenRows = rowsOf(hidden.buffer);
  const logits = pass.allocateMaster(rows * classes);
  const needsGradient = results.hidden !== undefined || results.weight !== undefined;
  const inPlace = backend.activation === backend.master;
  const dlogits = needsGradient ? (inPlace ? logits : pass.allocate(rows * classes)) : undefined;
  backend.gemm(hiddenRows, weight.buffer, logits, { m: rows, n: classes, k: width, transB: true });
  const rowLabels = pass.integers(labels.subarray(first, first + rows));
  const shape = { rows, classes, smoothing, weight: share };
  backend.addVocabularyLoss(logits, bias.buffer, rowLabels, results.loss, dlogits, shape);
  if (!dlogits) return;
  if (results.hidden) {
    const product = { m: rows, n: width, k: classes };
    backend.gemm(dlogits, weight.buffer, rowsOf(results.hidden), product);
  }
  if (results.weight) {
    const beta = first === 0 ? 0 : 1;
    const product = { m: classes, n: width, k: rows, transA: true, beta } as const;
    backend.gemm(dlogits, hiddenRows, results.weight, product);
  }
}

function checkShapes({ hidden, weight }: Inputs, { bias, labels }: Attrs): void {
  if (hidden.shape.length !== 2 || weight.shape.length !== 2 || hidden.shape[1] !== weight.shape[1])
    throw errors.shape("vocabularyLoss", "hidden must be [N, C] for a weight of [V, C]", {
      hidden,
      weight,
    });
  if (bias.shape.length !== 1 || bias.shape[0] !== weight.shape[0])
    throw errors.shape("vocabularyLoss", "bias must be [V]", { weight, bias });
  if (labels.length !== hidden.shape[0]) {
    const got = { hidden, labels: { shape: [labels.length] } };
    throw errors.shape("vocabularyLoss", "each row needs one label", got);
  }
}
