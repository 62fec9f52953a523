import type { GenerationOptions } from "./options.ts";

/** A token that may extend a running hypothesis, and its log-probability there. */
export interface Candidate {
  /** Index of the extended hypothesis in `running`. */
  readonly beam: number;
  readonly id: number;
  readonly score: number;
}

/** A partial or finished target: token ids from the start token on. */
export interface Hypothesis {
  readonly ids: readonly number[];
  /**
   * The sum of the tokens' log-probabilities; for finished beams that sum / (tokens after the start
   * token)^lengthPenalty.
   */
  readonly score: number;
}

/** The search over target sequences of one source. */
export interface HypothesisSearch {
  /** Unfinished hypotheses, all of the same length; empty once the search has ended. */
  readonly running: readonly Hypothesis[];
  /** How many candidates `advance` needs of each running hypothesis. */
  readonly candidatesPerBeam: number;
  /**
   * Extends the running hypotheses by the best candidates. Each hypothesis must contribute its best
   * `candidatesPerBeam`, or all that it has. Returns, for each hypothesis now in `running`, the
   * index of the one it extends. Without candidates the search ends with the hypotheses as they
   * are.
   */
  advance(candidates: readonly Candidate[]): readonly number[];
  /** The results, best first, at most `numReturnSequences`; complete once `running` is empty. */
  readonly finished: readonly Hypothesis[];
}

/** Greedy search for one beam, else beam search. */
export function createSearch(options: GenerationOptions): HypothesisSearch {
  return options.numBeams === 1 ? new GreedySearch(options) : new BeamSearch(options);
}

// --- internal ---

/** Appends the most likely token until the end token or `maxLength`. */
class GreedySearch implements HypothesisSearch {
  readonly candidatesPerBeam = 1;
  readonly #options: GenerationOptions;
  #hypothesis: Hypothesis;
  #isFinished = false;

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.#hypothesis = start(options);
  }

  get running(): readonly Hypothesis[] {
    return this.#isFinished ? [] : [this.#hypothesis];
  }

  get finished(): readonly Hypothesis[] {
    return this.#isFinished ? [this.#hypothesis] : [];
  }

  advance(candidates: readonly Candidate[]): readonly number[] {
    const [best] = candidates.toSorted(byScore);
    if (best) this.#hypothesis = extended(this.#hypothesis, best);
    this.#isFinished = best === undefined || isFinished(this.#hypothesis, this.#options);
    return this.#isFinished ? [] : [0];
  }
}

/**
 * Beam search for one source, as in transformers (`GenerationMixin._beam_search`). Each step takes
 * the best candidates of all running hypotheses, twice as many as beams (more with several end
 * tokens). Those that finish and rank among the best `numBeams` compete for the `numBeams` finished
 * hypotheses; the best unfinished ones keep running.
 *
 * One difference: transformers keeps running hypotheses of zero probability. Here the search ends
 * once every candidate finishes or none is left.
 */
class BeamSearch implements HypothesisSearch {
  readonly candidatesPerBeam: number;
  readonly #options: GenerationOptions;
  #running: readonly Hypothesis[];
  /** Best first, at most `numBeams`; scores are length-penalised. */
  #finished: readonly Hypothesis[] = [];

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.candidatesPerBeam = Math.max(2, 1 + options.endIds.length) * options.numBeams;
    this.#running = [start(options)];
  }

  get running(): readonly Hypothesis[] {
    return this.#running;
  }

  get finished(): readonly Hypothesis[] {
    return this.#finished.slice(0, this.#options.numReturnSequences);
  }

  advance(candidates: readonly Candidate[]): readonly number[] {
    const { numBeams } = this.#options;
    if (candidates.length === 0) {
      this.#finish(this.#running);
      this.#running = [];
      return [];
    }
    const best = candidates
      .map(({ beam, id, score }) => ({ beam, id, score: score + this.#running[beam]!.score }))
      .toSorted(byScore)
      .slice(0, this.candidatesPerBeam)
      .map(({ beam, id, score }) => ({
        beam,
        next: { ids: [...this.#running[beam]!.ids, id], score },
      }));
    const unfinished = best
      .filter(({ next }) => !isFinished(next, this.#options))
      .slice(0, numBeams);
    const finished = best
      .slice(0, numBeams)
      .flatMap(({ next }) => (isFinished(next, this.#options) ? [next] : []));
    this.#finish(finished);
    const [first] = unfinished;
    const running = first !== undefined && !this.#isDone(first.next) ? unfinished : [];
    this.#running = running.map(({ next }) => next);
    return running.map(({ beam }) => beam);
  }

  /** Adds finished hypotheses and keeps the best `numBeams`. */
  #finish(hypotheses: readonly Hypothesis[]): void {
    const { numBeams, lengthPenalty } = this.#options;
    const scored = hypotheses.map(({ ids, score }) => ({
      ids,
      score: lengthPenalised(score, ids.length, lengthPenalty),
    }));
    const all = [...this.#finished, ...scored];
    this.#finished = all.toSorted((a, b) => b.score - a.score).slice(0, numBeams);
  }

  /** Whether the search stops, given the best running hypothesis: see `earlyStopping`. */
  #isDone({ ids, score }: Hypothesis): boolean {
    const { numBeams, earlyStopping, lengthPenalty, maxLength } = this.#options;
    const worst = this.#finished[numBeams - 1];
    if (worst === undefined) return false;
    if (earlyStopping === true) return true;
    const length = earlyStopping === "never" && lengthPenalty > 0 ? maxLength : ids.length;
    return lengthPenalised(score, length, lengthPenalty) <= worst.score;
  }
}

const start = ({ startId }: GenerationOptions): Hypothesis => ({ ids: [startId], score: 0 });

const extended = ({ ids, score }: Hypothesis, candidate: Candidate): Hypothesis => ({
  ids: [...ids, candidate.id],
  score: score + candidate.score,
});

const isFinished = ({ ids }: Hypothesis, { endIds, maxLength }: GenerationOptions): boolean =>
  ids.length >= maxLength || endIds.includes(ids.at(-1) ?? -1);

const lengthPenalised = (score: number, length: number, penalty: number) =>
  score / (length - 1) ** penalty;

const byScore = (a: Candidate, b: Candidate) => b.score - a.score || a.beam - b.beam || a.id - b.id;
