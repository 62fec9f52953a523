import { ForwardPass } from "../../core/forward-pass.ts";
import { encodeSources, hypothesesOf } from "../../core/generation/encode-sources.ts";
import { type GenerationModel, isGenerationModel } from "../../core/model/plugin.ts";
import { KeyValueCache } from "../../core/nn/key-value-cache.ts";
import { type PackedTargets, packTargets } from "../../core/nn/source-target-batch.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import { counted, findings, type PluginFinding } from "./finding.ts";
import { largestDifference, logitsOf, ROUNDING, type Subject } from "./subject.ts";

const { ok, fail } = findings("decoding");

/** Hypotheses of each source: more than one, as beam search has them. */
const BEAMS = 2;
/** The best tokens of each row that are compared. */
const TOP = 3;

/**
 * Checks that a model's methods for generation agree: the loss and the best tokens with the logits,
 * and tokens that are decoded one by one with whole targets.
 */
export function checkDecoding(subject: Subject): PluginFinding {
  const { model, examples, limits } = subject;
  if (!isGenerationModel(model)) throw new Error("build must return a model that generates");
  const targets = examples.map(({ target }) => [...target, model.special.end]);
  const packed = packTargets(targets, model.special);
  const whole = wholeTargets(subject, model, packed);
  const wrong =
    forwardFinding(subject, whole) ??
    lossFinding(whole, packed.labels, limits.vocabSize) ??
    topFinding(whole, limits.vocabSize) ??
    stepFinding(subject, model, packed, whole);
  return wrong ?? ok(`${counted(packed.labels.length, "token")} one by one, as in whole targets`);
}

// --- internal ---

/** What a model computes for whole targets. */
interface WholeTargets {
  /** [N, C] */
  readonly hidden: Float64Array;
  /** [N, V] */
  readonly logits: Float64Array;
  /** Without label smoothing. */
  readonly loss: number;
  /** [N, count]: log-probabilities, best first. */
  readonly top: ArrayLike<number>;
}

const sourcesOf = ({ examples }: Subject) => examples.map(({ ids }) => ids);

function wholeTargets(
  subject: Subject,
  model: GenerationModel,
  { target, labels }: PackedTargets,
): WholeTargets {
  const { backend, limits } = subject;
  const pass = new ForwardPass(backend, { training: false });
  const valuesOf = (tensor: { readonly buffer: Parameters<typeof backend.download>[0] }) =>
    Float64Array.from(backend.download(tensor.buffer));
  let whole: WholeTargets | undefined;
  pass.scope(() => {
    const source = model.encode(pass, packSequences(sourcesOf(subject)));
    const hidden = model.decode(pass, target, source);
    const count = Math.min(TOP, limits.vocabSize);
    const choice = { count, banned: [], repeated: [], penalty: 1, normalise: "before" } as const;
    whole = {
      hidden: valuesOf(hidden),
      logits: valuesOf(model.logits(pass, hidden)),
      loss: valuesOf(model.loss(pass, hidden, { labels, smoothing: 0 }))[0] ?? NaN,
      top: model.topTokens(pass, hidden, choice).scores,
    };
  });
  if (!whole) throw new Error("internal: the scope has run");
  return whole;
}

const shown = (difference: number) => difference.toExponential(1);

function forwardFinding(subject: Subject, { logits }: WholeTargets): PluginFinding | undefined {
  const difference = largestDifference(logits, logitsOf(subject));
  if (difference <= ROUNDING) return undefined;
  const message = `forward gives other logits than encode, decode and logits: they differ by ${shown(difference)}`;
  return fail(message, "return this.logits(pass, this.decode(pass, batch.target, this.encode(…)))");
}

function lossFinding(
  { logits, loss }: WholeTargets,
  labels: Int32Array,
  classes: number,
): PluginFinding | undefined {
  let sum = 0;
  labels.forEach((label, row) => (sum -= logProbabilities(logits, row, classes)[label] ?? NaN));
  const expected = sum / labels.length;
  if (largestDifference([expected], [loss]) <= ROUNDING) return undefined;
  const [found, wanted] = [loss, expected].map((value) => Number(value.toPrecision(6)));
  const message = `the loss is ${found}, the mean cross entropy of the logits ${wanted}`;
  const hint =
    "ops.vocabularyLoss takes the weight and the bias that logits has, and the targets' smoothing";
  return fail(message, hint);
}

function topFinding({ logits, top }: WholeTargets, classes: number): PluginFinding | undefined {
  const count = Math.min(TOP, classes);
  const best = Array.from({ length: logits.length / classes }, (_, row) =>
    Array.from(logProbabilities(logits, row, classes).toSorted().toReversed().subarray(0, count)),
  );
  const difference = largestDifference(best.flat(), top);
  if (difference <= ROUNDING) return undefined;
  const message = `topTokens gives other scores than the logits: they differ by ${shown(difference)}`;
  return fail(message, "ops.topLogProbabilities takes the weight and the bias that logits has");
}

/** log softmax of a row of logits. */
function logProbabilities(logits: Float64Array, row: number, classes: number): Float64Array {
  const own = logits.subarray(row * classes, (row + 1) * classes);
  const largest = own.reduce((most, x) => Math.max(most, x), -Infinity);
  const sum = own.reduce((total, x) => total + Math.exp(x - largest), 0);
  return own.map((x) => x - largest - Math.log(sum));
}

/** Decodes every target token by token, by several hypotheses of each source at once. */
function stepFinding(
  subject: Subject,
  model: GenerationModel,
  { target: { ids, offsets } }: PackedTargets,
  { hidden }: WholeTargets,
): PluginFinding | undefined {
  const { backend } = subject;
  const pass = new ForwardPass(backend, { training: false });
  const encoded = encodeSources(pass, model, sourcesOf(subject));
  const cache = new KeyValueCache(backend, model.cacheShape);
  const width = hidden.length / ids.length;
  const lengths = Array.from(offsets.subarray(1), (end, b) => end - offsets[b]!);
  let parents: readonly number[] = lengths.flatMap(() => Array(BEAMS).fill(0));
  try {
    for (let position = 0; parents.length > 0; position++) {
      cache.extend(parents);
      const counts = lengths.map((length) => (position < length ? BEAMS : 0));
      const rows = counts.flatMap((count, b) => Array(count).fill(offsets[b]! + position));
      const expected = rows.flatMap((row) => [...hidden.subarray(row * width, (row + 1) * width)]);
      let difference = 0;
      pass.scope(() => {
        const step = { ids: Int32Array.from(rows, (row) => ids[row]!), position };
        const hypotheses = hypothesesOf(pass, counts);
        const decoded = model.decodeStep(pass, { ...step, hypotheses }, encoded.source, cache);
        difference = largestDifference(expected, backend.download(decoded.buffer));
      });
      if (difference > ROUNDING || Number.isNaN(difference)) return wrongStep(position, difference);
      parents = survivors(lengths, position);
    }
  } finally {
    cache.dispose();
    encoded.dispose();
  }
  return undefined;
}

/** The rows of the hypotheses at `position` that continue: each source's in reverse order. */
function survivors(lengths: readonly number[], position: number): readonly number[] {
  let first = 0;
  return lengths.flatMap((length) => {
    if (position >= length) return [];
    const own = Array.from({ length: BEAMS }, (_, beam) => first + BEAMS - 1 - beam);
    first += BEAMS;
    return position + 1 < length ? own : [];
  });
}

function wrongStep(position: number, difference: number): PluginFinding {
  const error = Number.isFinite(difference) ? shown(difference) : "their size";
  const message = `decodeStep gives other hidden states than decode from token ${position} on: they differ by ${error}`;
  const hint =
    position === 0
      ? "the first token alone differs: compare its embedding, step.position and the rows of its source"
      : "in each layer cache.write keys and values before attending to the rows of cache.index; step.position is the tokens' position";
  return fail(message, hint);
}
