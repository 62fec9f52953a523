import { describe, expect, test } from "bun:test";
import { type GenerationOverrides, generationOptions } from "../../../core/generation/options.ts";
import { type Candidate, createSearch, type Hypothesis } from "../../../core/generation/search.ts";

const END = 0;
const START = 1;

/**
 * A toy language model over ids 0 to 4: the next token's log-probabilities depend on the last two
 * tokens and the length.
 */
function toy(tokens: readonly number[]): number[] {
  const [a = 0, b = 0] = tokens.slice(-2);
  const raw = [0, 1, 2, 3, 4].map(
    (id) => 2 * Math.sin(3.1 * a + 1.7 * b + 2.3 * id + tokens.length),
  );
  const sum = Math.log(raw.reduce((total, x) => total + Math.exp(x), 0));
  return raw.map((x) => x - sum);
}

const optionsOf = (overrides: GenerationOverrides) =>
  generationOptions({}, { decoder_start_token_id: START, eos_token_id: END }, overrides);

function run(overrides: GenerationOverrides): readonly Hypothesis[] {
  const search = createSearch(optionsOf(overrides));
  while (search.running.length > 0) {
    const candidates = search.running.flatMap(({ ids }, beam) =>
      toy(ids)
        .map((score, id): Candidate => ({ beam, id, score }))
        .toSorted((a, b) => b.score - a.score)
        .slice(0, search.candidatesPerBeam),
    );
    search.advance(candidates);
  }
  return search.finished;
}

/** Every sequence up to a length, best score first. */
function exhaustive(maxLength: number, lengthPenalty: number): Hypothesis[] {
  const all: Hypothesis[] = [];
  const visit = (ids: readonly number[], sum: number): void => {
    if (ids.length > 1 && (ids.at(-1) === END || ids.length === maxLength)) {
      all.push({ ids, score: sum / (ids.length - 1) ** lengthPenalty });
      return;
    }
    toy(ids).forEach((score, id) => visit([...ids, id], sum + score));
  };
  visit([START], 0);
  return all.toSorted((a, b) => b.score - a.score);
}

describe("beam search", () => {
  for (const lengthPenalty of [0, 1, 2, -0.5])
    test(`with enough beams finds the best of all sequences, length penalty ${lengthPenalty}`, () => {
      const wide = {
        numBeams: 64,
        numReturnSequences: 5,
        maxLength: 4,
        lengthPenalty,
        earlyStopping: "never",
      } as const;
      const [found, best] = [run(wide), exhaustive(4, lengthPenalty).slice(0, 5)];
      expect(found.map(({ ids }) => ids)).toEqual(best.map(({ ids }) => ids));
      found.forEach(({ score }, i) => expect(score).toBeCloseTo(best[i]!.score, 12));
    });

  test("with few beams never beats the exhaustive search, and more beams find better", () => {
    const best = exhaustive(6, 1)[0]!.score;
    const score = (numBeams: number) =>
      run({ numBeams, maxLength: 6, earlyStopping: "never" })[0]!.score;
    expect(score(2)).toBeLessThanOrEqual(best);
    expect(score(2)).toBeLessThanOrEqual(score(16));
    expect(score(16)).toBeCloseTo(best, 12);
  });

  test("returns the requested number of hypotheses, best first", () => {
    const found = run({ numBeams: 4, numReturnSequences: 3, maxLength: 6 });
    const scores = found.map(({ score }) => score);
    expect(found).toHaveLength(3);
    expect(scores).toEqual(scores.toSorted((a, b) => b - a));
  });
});

describe("a search stops", () => {
  /**
   * Log-probabilities of two ordinary tokens and of the end token, after each hypothesis of a step.
   */
  const steps = [
    [-0.5, -3, -2], // finished: -2 / 1
    [-0.3, -4, -0.6], // finished: -1.1 / 2; running: -0.8 / 2
    [-1.5, -4, -0.6], // finished: -1.4 / 3 replaces the first; running: -2.3 / 3
    [-3, -4, -9], // running: -5.3 / 4
    [-3, -4, -9],
  ] as const;

  function lasted(earlyStopping: boolean | "never"): number {
    const search = createSearch(optionsOf({ numBeams: 2, maxLength: 9, earlyStopping }));
    for (const [step, [first, second, end]] of steps.entries()) {
      const candidates = search.running.flatMap((_, beam) => [
        { beam, id: 2, score: first },
        { beam, id: 3, score: second },
        { beam, id: END, score: end },
      ]);
      search.advance(candidates);
      if (search.running.length === 0) return step + 1;
    }
    return Infinity;
  }

  test("at as many finished hypotheses as beams, with early stopping", () =>
    expect(lasted(true)).toBe(2));
  test("otherwise once the best running one can't win at its current length", () =>
    expect(lasted(false)).toBe(3));
  test("with `never`, once it can't win at the longest length either: -2.3 / 8 could, -5.3 / 8 can't", () =>
    expect(lasted("never")).toBe(4));
  test("when all candidates finish", () => {
    const search = createSearch(optionsOf({ numBeams: 2 }));
    expect(search.advance([{ beam: 0, id: END, score: -1 }])).toEqual([]);
    expect(search.finished).toEqual([{ ids: [START, END], score: -1 }]);
  });
  test("with the hypotheses as they are when every token is banned", () => {
    for (const numBeams of [1, 2]) {
      const search = createSearch(optionsOf({ numBeams }));
      search.advance([{ beam: 0, id: 3, score: -1 }]);
      expect(search.advance([])).toEqual([]);
      expect(search.finished).toEqual([{ ids: [START, 3], score: -1 }]);
    }
  });
});

describe("greedy search", () => {
  test("takes the most likely token until the end token or the longest length", () => {
    const expected = [START];
    while (expected.length < 8 && expected.at(-1) !== END) {
      const scores = toy(expected);
      expected.push(scores.indexOf(Math.max(...scores)));
    }
    expect(run({ maxLength: 8 })[0]?.ids).toEqual(expected);
  });
  test("ignores options of beam search", () =>
    expect(run({ maxLength: 8, lengthPenalty: 3, earlyStopping: true })).toEqual(
      run({ maxLength: 8 }),
    ));
});

test("a finished hypothesis counts only if it ranks among the best beams", () => {
  const search = createSearch(optionsOf({ numBeams: 2, numReturnSequences: 2 }));
  search.advance([
    { beam: 0, id: 2, score: -1 },
    { beam: 0, id: 3, score: -2 },
    { beam: 0, id: END, score: -3 },
  ]);
  expect([search.running.length, search.finished.length]).toEqual([2, 0]);
});
