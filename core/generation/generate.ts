import type { Backend, Sequences } from "../backend.ts";
import { evaluationBatches } from "../data/batching.ts";
import { errors } from "../errors.ts";
import { packSequences } from "../nn/packed-batch.ts";
import type { TokenChoice } from "../ops/top-log-probabilities.ts";
import type { AttendedRows, GenerationModel } from "../model/plugin.ts";
import { ForwardPass } from "../forward-pass.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { GenerationOptions } from "./options.ts";
import { type Candidate, createSearch, type Hypothesis, type HypothesisSearch } from "./search.ts";
import { bannedIds, forcedIds } from "./token-rules.ts";

/** The best text about a source, and the next best ones where more are to come back. */
export interface Generated extends Hypothesis {
  readonly others: readonly Hypothesis[];
}

export interface GenerateSettings {
  /** Sources that are written about at once; default 16. Only speed and memory depend on it. */
  readonly batchSize?: number;
  /** Sources that are done, after each batch. */
  readonly onBatch?: (done: number) => void;
}

/** Milliseconds after which timers and signals have their turn between two tokens. */
const TURN_MS = 100;

/**
 * Writes a text about each source, in the order of the sources; sources of like length are worked on together. A text does not depend on
 * its company, but for the rounding of other sizes of matrix products.
 *
 * sources: token ids as the model's tokenizer makes them, with their special tokens. Throws E_GENERATION for sources and options that the
 * model can't do, before anything is written, and for scores that are no numbers.
 */
export async function generate(
  backend: Backend,
  model: GenerationModel,
  sources: readonly ArrayLike<number>[],
  options: GenerationOptions,
  { batchSize = 16, onBatch }: GenerateSettings = {},
): Promise<readonly Generated[]> {
  checkOptions(model, options);
  sources.forEach((source, index) => checkSource(model, source, index));
  const lengths = sources.map(({ length }) => length);
  const written = new Map<number, Generated>();
  for (const batch of evaluationBatches(lengths, batchSize)) {
    const chosen = Array.from(batch, (index) => sources[index]!);
    const texts = await generateBatch(backend, model, chosen, options);
    batch.forEach((index, place) => written.set(index, texts[place]!));
    onBatch?.(written.size);
  }
  return sources.map((_, index) => written.get(index)!);
}

function checkOptions({ limits }: GenerationModel, options: GenerationOptions): void {
  const { maxLength, startId, endIds, forcedBosId, forcedEosIds } = options;
  if (maxLength > limits.maxLength + 1) {
    const rule = `a text has at most ${limits.maxLength + 1} tokens with its start token`;
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
  const wrong = Array.from(source).find((id) => !(id >= 0 && id < limits.vocabSize));
  if (wrong !== undefined)
    throw errors.generation(
      `ids are below ${limits.vocabSize}, the vocab_size`,
      `${wrong} in source ${index}`,
    );
}

async function generateBatch(
  backend: Backend,
  model: GenerationModel,
  sources: readonly ArrayLike<number>[],
  options: GenerationOptions,
): Promise<readonly Generated[]> {
  const pass = new ForwardPass(backend, { training: false });
  const searches = sources.map(() => createSearch(options));
  const cache = new KeyValueCache(backend, model.cacheShape);
  const encoded = encode(pass, model, sources);
  try {
    let parents: readonly number[] = searches.map(() => 0);
    let turn = performance.now();
    while (parents.length > 0) {
      parents = advance({ pass, model, options, cache, source: encoded.source, searches }, parents);
      if (performance.now() - turn < TURN_MS) continue;
      await Bun.sleep(0); // signals and timers get their turn
      turn = performance.now();
    }
  } finally {
    cache.dispose();
    encoded.dispose();
  }
  return searches.map(({ found: [best, ...others] }) => ({ ...best!, others }));
}

/** The sources as the decoder attends to them, in buffers that outlive the scope that made them. */
function encode(pass: ForwardPass, model: GenerationModel, sources: readonly ArrayLike<number>[]) {
  let source: readonly AttendedRows[] = [];
  pass.scope(() => {
    source = model.encode(pass, packSequences(sources));
    const { k, v, rows } = buffersOf(source);
    for (const buffer of [...k, ...v, ...rows]) pass.tape.take(buffer);
  });
  const dispose = () => {
    const { k, v, rows } = buffersOf(source);
    for (const buffer of [...k, ...v, ...rows]) pass.backend.free(buffer);
  };
  return { source, dispose };
}

const buffersOf = (source: readonly AttendedRows[]) => ({
  k: source.map(({ k }) => k.buffer),
  v: source.map(({ v }) => v.buffer),
  rows: new Set(source.map(({ rows }) => rows.offsets)),
});

interface Batch {
  readonly pass: ForwardPass;
  readonly model: GenerationModel;
  readonly options: GenerationOptions;
  readonly cache: KeyValueCache;
  readonly source: readonly AttendedRows[];
  readonly searches: readonly HypothesisSearch[];
}

/** One more token of all texts in play, whose rows in the step before were `parents`. Returns the same of those now in play. */
function advance(batch: Batch, parents: readonly number[]): readonly number[] {
  const { searches, options } = batch;
  const length = batch.cache.length + 1;
  const forced = forcedIds(length, options);
  const forcedAll = (text: number) => (forced ?? []).map((id) => ({ text, id, score: 0 }));
  // The last token of all: nobody will read what is written now.
  const last = forced !== undefined && length === options.maxLength - 1;
  const candidatesOf = last ? undefined : nextTokens(batch, parents, forced !== undefined);
  const next: number[] = [];
  let row = 0;
  for (const search of searches) {
    const [first, { texts }] = [row, search];
    if (texts.length === 0) continue;
    const candidates = texts.flatMap(
      (_, text) => candidatesOf?.(first + text, text) ?? forcedAll(text),
    );
    next.push(...search.advance(candidates).map((text) => first + text));
    row += texts.length;
  }
  return next;
}

/** Reads the newest tokens. Returns each row's candidates, or undefined where they are `settled` beforehand. */
function nextTokens(batch: Batch, parents: readonly number[], settled: boolean) {
  const { pass, model, cache, source, searches } = batch;
  const rows = searches.flatMap(({ texts }) => texts.map(({ ids }) => ids));
  cache.extend(parents);
  let found: ((row: number, text: number) => readonly Candidate[]) | undefined;
  pass.scope(() => {
    const texts = sequencesOf(
      pass,
      searches.map((search) => search.texts.length),
    );
    const ids = Int32Array.from(rows, (text) => text.at(-1)!);
    const hidden = model.write(pass, { ids, position: cache.length - 1, texts }, source, cache);
    if (settled) return;
    const choice = choiceOf(batch, rows);
    const { ids: next, scores } = model.topTokens(pass, hidden, choice);
    if (Array.from(scores).some(Number.isNaN))
      throw errors.generation(
        "the model's scores are finite numbers",
        `NaN for token ${cache.length}`,
      );
    found = (row, text) =>
      Array.from({ length: choice.count }, (_, i) => row * choice.count + i)
        .filter((at) => next[at]! >= 0)
        .map((at) => ({ text, id: next[at]!, score: scores[at]! }));
  });
  return found;
}

function choiceOf(
  { options, model, searches }: Batch,
  rows: readonly (readonly number[])[],
): TokenChoice {
  const { numBeams, repetitionPenalty } = options;
  const width = searches[0]?.width ?? 1;
  const pairs = (idsOf: (text: readonly number[]) => Iterable<number>) =>
    rows.flatMap((text, row) => [...idsOf(text)].flatMap((id) => [row, id]));
  return {
    count: Math.min(width, model.limits.vocabSize),
    banned: pairs((text) => bannedIds(text, options)),
    repeated: repetitionPenalty === 1 ? [] : pairs((text) => new Set(text)),
    penalty: repetitionPenalty,
    normalise: numBeams === 1 ? "after" : "before",
  };
}

/** The texts of each source, as sequences. */
function sequencesOf(pass: ForwardPass, counts: readonly number[]): Sequences {
  const hostOffsets = new Int32Array(counts.length + 1);
  counts.forEach((count, b) => (hostOffsets[b + 1] = hostOffsets[b]! + count));
  return {
    sequences: counts.length,
    tokens: hostOffsets[counts.length]!,
    offsets: pass.integers(hostOffsets),
    hostOffsets,
  };
}
