import type { GenerationOptions } from "./options.ts";

/** A token that may follow a text in play, and its log-probability there. */
export interface Candidate {
  /** Place of the text among those in play. */
  readonly text: number;
  readonly id: number;
  readonly score: number;
}

/** Token ids from the start token to the end token, or to the longest length. */
export interface Hypothesis {
  readonly ids: readonly number[];
  /** Greedy: the sum of the tokens' log-probabilities. Beams: that sum / (tokens behind the start token)^lengthPenalty. */
  readonly score: number;
}

/** The search for texts about one source. */
export interface HypothesisSearch {
  /** Texts in play, all of the same length; none when the search has ended. */
  readonly texts: readonly Hypothesis[];
  /** Candidates wanted of each text. */
  readonly width: number;
  /**
   * Goes on with the best candidates, of which each text has given its best `width` or all that it has. Returns the places that the texts
   * now in play had before. Without candidates the search ends with the texts as they are.
   */
  advance(candidates: readonly Candidate[]): readonly number[];
  /** What the search has found, best first. */
  readonly found: readonly Hypothesis[];
}

export function createSearch(options: GenerationOptions): HypothesisSearch {
  return options.numBeams === 1 ? new GreedySearch(options) : new BeamSearch(options);
}

const start = ({ startId }: GenerationOptions): Hypothesis => ({ ids: [startId], score: 0 });

/** The most likely token, each time. */
export class GreedySearch implements HypothesisSearch {
  readonly width = 1;
  readonly #options: GenerationOptions;
  #text: Hypothesis;
  #ended = false;

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.#text = start(options);
  }

  get texts(): readonly Hypothesis[] {
    return this.#ended ? [] : [this.#text];
  }

  get found(): readonly Hypothesis[] {
    return this.#ended ? [this.#text] : [];
  }

  advance(candidates: readonly Candidate[]): readonly number[] {
    const [best] = candidates.toSorted(byScore);
    if (best) this.#text = extended(this.#text, best);
    this.#ended = best === undefined || ends(this.#text, this.#options);
    return this.#ended ? [] : [0];
  }
}

/**
 * Beam search as transformers does it (`GenerationMixin._beam_search`), for one source: of the best candidates of all texts in play, twice
 * as many as beams (more where there are several end tokens), those that end a text and are among the best `numBeams` compete for
 * the `numBeams` ended texts to keep, and the best that don't end are played on.
 *
 * It differs where transformers plays on with texts of no probability: if all candidates end, or none is left, the search ends.
 */
export class BeamSearch implements HypothesisSearch {
  readonly width: number;
  readonly #options: GenerationOptions;
  #texts: readonly Hypothesis[];
  /** Best first, at most `numBeams`; scores with their lengths' penalty. */
  #ended: readonly Hypothesis[] = [];

  constructor(options: GenerationOptions) {
    this.#options = options;
    this.width = Math.max(2, 1 + options.endIds.length) * options.numBeams;
    this.#texts = [start(options)];
  }

  get texts(): readonly Hypothesis[] {
    return this.#texts;
  }

  get found(): readonly Hypothesis[] {
    return this.#ended.slice(0, this.#options.numReturnSequences);
  }

  advance(candidates: readonly Candidate[]): readonly number[] {
    const { numBeams } = this.#options;
    if (candidates.length === 0) {
      this.#end(this.#texts);
      this.#texts = [];
      return [];
    }
    const best = candidates
      .map(({ text, id, score }) => ({ text, id, score: score + this.#texts[text]!.score }))
      .toSorted(byScore)
      .slice(0, this.width)
      .map(({ text, id, score }) => ({
        text,
        next: { ids: [...this.#texts[text]!.ids, id], score },
      }));
    const goOn = best.filter(({ next }) => !ends(next, this.#options)).slice(0, numBeams);
    const ended = best
      .slice(0, numBeams)
      .flatMap(({ next }) => (ends(next, this.#options) ? [next] : []));
    this.#end(ended);
    const [first] = goOn;
    const inPlay = first !== undefined && !this.#isOver(first.next) ? goOn : [];
    this.#texts = inPlay.map(({ next }) => next);
    return inPlay.map(({ text }) => text);
  }

  #end(texts: readonly Hypothesis[]): void {
    const { numBeams, lengthPenalty } = this.#options;
    const scored = texts.map(({ ids, score }) => ({
      ids,
      score: penalised(score, ids.length, lengthPenalty),
    }));
    const all = [...this.#ended, ...scored];
    this.#ended = all.toSorted((a, b) => b.score - a.score).slice(0, numBeams);
  }

  /** Whether the ended texts are the result, with `best` the best one in play. */
  #isOver({ ids, score }: Hypothesis): boolean {
    const { numBeams, earlyStopping, lengthPenalty, maxLength } = this.#options;
    const worst = this.#ended[numBeams - 1];
    if (worst === undefined) return false;
    if (earlyStopping === true) return true;
    const length = earlyStopping === "never" && lengthPenalty > 0 ? maxLength : ids.length;
    return penalised(score, length, lengthPenalty) <= worst.score;
  }
}

const extended = ({ ids, score }: Hypothesis, candidate: Candidate): Hypothesis => ({
  ids: [...ids, candidate.id],
  score: score + candidate.score,
});

const ends = ({ ids }: Hypothesis, { endIds, maxLength }: GenerationOptions): boolean =>
  ids.length >= maxLength || endIds.includes(ids.at(-1) ?? -1);

const penalised = (score: number, length: number, penalty: number) =>
  score / (length - 1) ** penalty;

const byScore = (a: Candidate, b: Candidate) => b.score - a.score || a.text - b.text || a.id - b.id;
