import type { Backend } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import { type AdaloraError, errors } from "../errors.ts";
import type { TokenChoice } from "../ops/top-log-probabilities.ts";
import type { AttendedRows, GenerationModel } from "../model/plugin.ts";
import { ForwardPass } from "../forward-pass.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import { checkStop, type StopRequested } from "../stopped.ts";
import { encodeSources, hypothesesOf } from "./encode-sources.ts";
import type { GenerationOptions } from "./options.ts";
import { type Candidate, createSearch, type Hypothesis, type HypothesisSearch } from "./search.ts";
import { bannedIds, forcedIds } from "./token-rules.ts";

/**
 * The best hypothesis of a source, and the next best ones where `numReturnSequences` is above 1.
 */
export interface Generated extends Hypothesis {
  readonly alternatives: readonly Hypothesis[];
}

/** How `generate` batches its sources and reports progress. */
export interface GenerateSettings {
  /** The name of the set of sources in messages; default "[generate]". */
  readonly name?: string;
  /** Sources decoded together; default 16. Affects speed and memory only. */
  readonly batchSize?: number;
  /** Called after each batch with the number of sources done so far. */
  readonly onBatch?: (done: number) => void;
  /** Polled between decode steps whenever the event loop has run; on true `Stopped` is thrown. */
  readonly stopRequested?: StopRequested;
}

/**
 * Milliseconds of decoding after which the event loop runs, so that timers and signals are handled.
 */
const YIELD_INTERVAL_MS = 100;

/**
 * Generates a target sequence for each source, in the order of the sources; batches are bucketed by
 * length. A result does not depend on the other sources of its batch, except for rounding in matrix
 * products of other sizes.
 *
 * sources: token ids with special tokens, as the model's tokenizer produces them. Throws
 * E_GENERATION before decoding for sources and options outside the model's limits, and E_NOT_FINITE,
 * with the sources' indices, for scores that are not finite.
 */
export async function generate(
  backend: Backend,
  model: GenerationModel,
  sources: readonly ArrayLike<number>[],
  options: GenerationOptions,
  { name = "[generate]", batchSize = 16, onBatch, stopRequested }: GenerateSettings = {},
): Promise<readonly Generated[]> {
  checkOptions(model, options);
  sources.forEach((source, index) => checkSource(model, source, index));
  const lengths = sources.map(({ length }) => length);
  const results = new Map<number, Generated>();
  for (const batch of evaluationBatches(lengths, batchSize)) {
    checkStop(stopRequested);
    const batchSources = Array.from(batch, (index) => sources[index]!);
    const notFinite: NotFinite = (failing, token) => {
      const rows = failing.map((b) => String(batch[b]));
      const what = `the scores of token ${token}`;
      return errors.outputNotFinite({ split: name, what }, rows, sources.length);
    };
    const generated = await generateBatch(backend, model, batchSources, {
      options,
      notFinite,
      stopRequested,
    });
    batch.forEach((index, b) => results.set(index, generated[b]!));
    onBatch?.(results.size);
    await Bun.sleep(0); // a batch may take less than YIELD_INTERVAL_MS
  }
  return sources.map((_, index) => results.get(index)!);
}

// --- internal ---

function checkOptions({ limits }: GenerationModel, options: GenerationOptions): void {
  const { maxLength, startId, endIds, forcedBosId, forcedEosIds } = options;
  if (maxLength > limits.maxLength + 1) {
    const rule = `a target has at most ${limits.maxLength + 1} tokens with its start token`;
    throw errors.generation(rule, `max_length ${maxLength}`);
  }
  for (const id of [
    startId,
    ...endIds,
    ...forcedEosIds,
    ...(forcedBosId === null ? [] : [forcedBosId]),
  ])
    if (id >= limits.vocabSize)
      throw errors.generation(`ids are below ${limits.vocabSize}, the vocab_size`, `${id}`);
}

function checkSource({ limits }: GenerationModel, source: ArrayLike<number>, index: number): void {
  const { length } = source;
  if (length < 1 || length > limits.maxLength)
    throw errors.generation(
      `a source has 1 to ${limits.maxLength} tokens`,
      `${length} in source ${index}`,
    );
  const invalid = Array.from(source).find((id) => !(id >= 0 && id < limits.vocabSize));
  if (invalid !== undefined)
    throw errors.generation(
      `ids are below ${limits.vocabSize}, the vocab_size`,
      `${invalid} in source ${index}`,
    );
}

interface BatchOptions {
  readonly options: GenerationOptions;
  readonly notFinite: NotFinite;
  readonly stopRequested: StopRequested | undefined;
}

async function generateBatch(
  backend: Backend,
  model: GenerationModel,
  sources: readonly ArrayLike<number>[],
  { options, notFinite, stopRequested }: BatchOptions,
): Promise<readonly Generated[]> {
  const pass = new ForwardPass(backend, { training: false });
  const searches = sources.map(() => createSearch(options));
  const cache = new KeyValueCache(backend, model.cacheShape);
  const encoded = encodeSources(pass, model, sources);
  const state = { pass, model, options, cache, source: encoded.source, searches, notFinite };
  try {
    let parents: readonly number[] = searches.map(() => 0);
    let lastYield = performance.now();
    while (parents.length > 0) {
      parents = advance(state, parents);
      if (performance.now() - lastYield < YIELD_INTERVAL_MS) continue;
      await Bun.sleep(0);
      checkStop(stopRequested);
      lastYield = performance.now();
    }
  } finally {
    cache.dispose();
    encoded.dispose();
  }
  return searches.map(({ finished: [best, ...alternatives] }) => ({ ...best!, alternatives }));
}

interface DecodeState {
  readonly pass: ForwardPass;
  readonly model: GenerationModel;
  readonly options: GenerationOptions;
  readonly cache: KeyValueCache;
  readonly source: readonly AttendedRows[];
  readonly searches: readonly HypothesisSearch[];
  readonly notFinite: NotFinite;
}

/** The error for sources, by index in the batch, whose scores of a token are not finite. */
type NotFinite = (sources: readonly number[], token: number) => AdaloraError;

/**
 * Extends every running hypothesis by one token. parents: each one's row in the previous step.
 * Returns the parents of the hypotheses that are running now.
 */
function advance(state: DecodeState, parents: readonly number[]): readonly number[] {
  const { searches, options } = state;
  const length = state.cache.length + 1;
  const forced = forcedIds(length, options);
  const forcedCandidates = (beam: number) => (forced ?? []).map((id) => ({ beam, id, score: 0 }));
  // Every hypothesis ends with a forced last token: the decoder's output would be unused.
  const isLast = forced !== undefined && length === options.maxLength - 1;
  const candidatesOf = isLast ? undefined : decodeNext(state, parents, forced !== undefined);
  const next: number[] = [];
  let row = 0;
  for (const search of searches) {
    const [first, { running }] = [row, search];
    if (running.length === 0) continue;
    const candidates = running.flatMap(
      (_, beam) => candidatesOf?.(first + beam, beam) ?? forcedCandidates(beam),
    );
    next.push(...search.advance(candidates).map((beam) => first + beam));
    row += running.length;
  }
  return next;
}

/**
 * Runs one decode step. Returns each row's candidates, or undefined where the next token is forced.
 */
function decodeNext(state: DecodeState, parents: readonly number[], isForced: boolean) {
  const { pass, model, cache, source, searches } = state;
  const rows = searches.flatMap(({ running }) => running.map(({ ids }) => ids));
  cache.extend(parents);
  let candidatesOf: ((row: number, beam: number) => readonly Candidate[]) | undefined;
  pass.scope(() => {
    const hypotheses = hypothesesOf(
      pass,
      searches.map((search) => search.running.length),
    );
    const ids = Int32Array.from(rows, (tokens) => tokens.at(-1)!);
    const step = { ids, position: cache.length - 1, hypotheses };
    const hidden = model.decodeStep(pass, step, source, cache);
    if (isForced) return;
    const choice = choiceOf(state, rows);
    const { ids: next, scores } = model.topTokens(pass, hidden, choice);
    const failing = failingSources(searches, scores, choice.count);
    if (failing.length > 0) throw state.notFinite(failing, cache.length);
    candidatesOf = (row, beam) =>
      Array.from({ length: choice.count }, (_, i) => row * choice.count + i)
        .filter((i) => next[i]! >= 0)
        .map((i) => ({ beam, id: next[i]!, score: scores[i]! }));
  });
  return candidatesOf;
}

/** The sources of which some hypothesis has NaN among its `count` scores. */
function failingSources(
  searches: readonly HypothesisSearch[],
  scores: ArrayLike<number>,
  count: number,
): readonly number[] {
  let at = 0;
  return searches.flatMap(({ running }, source) => {
    const own = Array.from({ length: running.length * count }, () => scores[at++]!);
    return own.some(Number.isNaN) ? [source] : [];
  });
}

function choiceOf(
  { options, model, searches }: DecodeState,
  rows: readonly (readonly number[])[],
): TokenChoice {
  const { numBeams, repetitionPenalty } = options;
  const pairs = (idsOf: (tokens: readonly number[]) => Iterable<number>) =>
    rows.flatMap((tokens, row) => [...idsOf(tokens)].flatMap((id) => [row, id]));
  return {
    count: Math.min(searches[0]?.candidatesPerBeam ?? 1, model.limits.vocabSize),
    banned: pairs((tokens) => bannedIds(tokens, options)),
    repeated: repetitionPenalty === 1 ? [] : pairs((tokens) => new Set(tokens)),
    penalty: repetitionPenalty,
    normalise: numBeams === 1 ? "after" : "before",
  };
}
