import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Backend } from "../../../core/backend.ts";
import { generate } from "../../../core/generation/generate.ts";
import { type GenerationOverrides, generationOptions } from "../../../core/generation/options.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import type { GenerationModel } from "../../../core/model/plugin.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { Stopped } from "../../../core/stopped.ts";
import { guarded } from "../../helpers/guarded-backend.ts";
import { tinyBart, tinyPair } from "../../helpers/tiny-bart.ts";
import { counted } from "../../helpers/watched-backend.ts";

const IDS = { decoder_start_token_id: 2, bos_token_id: 0, eos_token_id: 2 };
const LONGEST = 12;
const sources = [3, 0, 5, 2, 1].map((index) => tinyPair(index).source);

const optionsOf = (overrides: GenerationOverrides) =>
  generationOptions({}, IDS, { maxLength: LONGEST, ...overrides });

/** A tiny BART whose output neither repeats one token nor ends at once. */
function generator(backend: Backend): GenerationModel {
  const { bart, adapted } = tinyBart(backend, { config: { init_std: 0.7 } });
  const bias = adapted.tree.parameters.get("final_logits_bias");
  if (!bias) throw new Error("no bias");
  const likely = Float64Array.from({ length: bias.length }, (_, word) => (word === 2 ? 3 : 0));
  backend.upload(bias.buffer, likely);
  return bart;
}

const backend = createReferenceBackend();
const bart = generator(backend);
const generated = (overrides: GenerationOverrides, batchSize = 16, some = sources) =>
  generate(backend, bart, some, optionsOf(overrides), { batchSize });

/** The greedy next token, from the whole decoder without a cache. */
function bestNext(source: readonly number[], tokens: readonly number[]): number {
  const pass = new ForwardPass(backend, { training: false });
  let logits: number[] = [];
  pass.scope(() => {
    const hidden = bart.decode(
      pass,
      packSequences([tokens]),
      bart.encode(pass, packSequences([source])),
    );
    logits = Array.from(backend.download(bart.logits(pass, hidden).buffer));
  });
  const last = logits.slice(-bart.limits.vocabSize);
  return last.indexOf(Math.max(...last));
}

describe("generated targets", () => {
  test("decoded greedily with a cache equal the whole decoder's, token by token", async () => {
    const expected = sources.map((source) => {
      const tokens = [2];
      do tokens.push(bestNext(source, tokens));
      while (tokens.at(-1) !== 2 && tokens.length < LONGEST);
      return tokens;
    });
    const got = (await generated({})).map(({ ids }) => ids);
    expect(got).toEqual(expected);
    expect(new Set(got.map(({ length }) => length)).size).toBeGreaterThan(2); // some finish before others
  });

  for (const numBeams of [1, 2, 3, 8])
    test(`of ${numBeams} beams do not depend on the batch`, async () => {
      const options = { numBeams, numReturnSequences: numBeams, noRepeatNgramSize: 3 };
      const together = await generated(options);
      const apart = await Promise.all(sources.map((source) => generated(options, 1, [source])));
      const rounded = (score: number) => score.toFixed(9);
      const shown = (results: typeof together) =>
        results.map(({ ids, score, alternatives }) =>
          [{ ids, score }, ...alternatives].map((one) => [one.ids, rounded(one.score)]),
        );
      expect(shown(together)).toEqual(shown(apart.flat()));
      expect(shown(await generated(options, 2))).toEqual(shown(together));
    });

  test("come in the order of their sources", async () => {
    const [forwards, backwards] = await Promise.all([
      generated({ numBeams: 2 }, 2),
      generated({ numBeams: 2 }, 2, sources.toReversed()),
    ]);
    expect(backwards).toEqual(forwards.toReversed());
  });

  test("of beams have the score of their tokens", async () => {
    for (const { ids, score } of await generated({ numBeams: 3, lengthPenalty: 2 })) {
      expect(ids[0]).toBe(2);
      expect(score).toBeLessThan(0);
      expect(score * (ids.length - 1) ** 2).toBeGreaterThan(-40);
    }
  });
});

describe("options", () => {
  const idsOf = async (overrides: GenerationOverrides) =>
    (await generated(overrides)).map(({ ids }) => ids);

  for (const numBeams of [1, 3]) {
    test(`a longest length, ${numBeams} beams`, async () =>
      expect(Math.max(...(await idsOf({ numBeams, maxLength: 5 })).map((ids) => ids.length))).toBe(
        5,
      ));
    test(`a shortest length, ${numBeams} beams`, async () => {
      const lengths = (await idsOf({ numBeams, minLength: 8 })).map((ids) => ids.length);
      expect(Math.min(...lengths)).toBeGreaterThan(8); // the end token comes after it
      expect(Math.min(...(await idsOf({ numBeams })).map((ids) => ids.length))).toBeLessThan(8);
    });
    test(`a forced first and last token, ${numBeams} beams`, async () => {
      const forced = { numBeams, forcedBosId: 7, forcedEosIds: [9], endIds: [2, 9] };
      for (const ids of await idsOf({ ...forced, maxLength: 6, minLength: 6 })) {
        expect(ids.slice(0, 2)).toEqual([2, 7]);
        expect(ids.at(-1)).toBe(9);
        expect(ids).toHaveLength(6);
      }
    });
    test(`no token pair twice, ${numBeams} beams`, async () => {
      const repeats = (ids: readonly number[]) => {
        const pairs = ids.slice(1).map((id, i) => `${ids[i]},${id}`);
        return pairs.length - new Set(pairs).size;
      };
      const count = async (size: number) =>
        (await idsOf({ numBeams, noRepeatNgramSize: size, minLength: LONGEST }))
          .map(repeats)
          .reduce((a, b) => a + b, 0);
      expect(await count(2)).toBe(0);
      expect(await count(0)).toBeGreaterThan(0);
    });
    test(`a penalty on repeated tokens, ${numBeams} beams`, async () => {
      const distinct = async (repetitionPenalty: number) =>
        (await idsOf({ numBeams, repetitionPenalty, minLength: LONGEST }))
          .map((ids) => new Set(ids).size)
          .reduce((a, b) => a + b, 0);
      expect(await distinct(5)).toBeGreaterThan(await distinct(1));
    });
  }

  test("a length penalty: the higher, the longer the output", async () => {
    const total = async (lengthPenalty: number) =>
      (await idsOf({ numBeams: 4, lengthPenalty, earlyStopping: "never" })).flat().length;
    expect(await total(3)).toBeGreaterThan(await total(-1));
  });
});

describe("work", () => {
  test("frees all memory, after a failure too", async () => {
    const { live } = backend.memory();
    await generated({ numBeams: 4 });
    expect(backend.memory().live).toBe(live);
    const broken = Object.create(bart, {
      topTokens: {
        value: () => {
          throw new Error("no");
        },
      },
    });
    await expect(generate(backend, broken, sources, optionsOf({}))).rejects.toThrow("no");
    expect(backend.memory().live).toBe(live);
  });

  test("a source's keys and values are computed once, whatever its beams and tokens", async () => {
    const watched = counted(backend);
    const model = generator(watched.backend);
    watched.reset();
    await generate(watched.backend, model, sources, optionsOf({ numBeams: 4, minLength: LONGEST }));
    expect(watched.calls("topLogProbabilities")).toBe(LONGEST - 1);
    expect(watched.calls("attention")).toBe(2 + 2 * (LONGEST - 1)); // encoder, then the decoder's layers each step
    expect(watched.calls("attendChosenRows")).toBe(2 * (LONGEST - 1));
  });

  test("two small downloads per step, and no other host access", async () => {
    const guard = guarded(createReferenceBackend());
    const model = generator(guard.backend);
    const before = guard.downloads();
    const options = optionsOf({ numBeams: 3, minLength: LONGEST });
    const results = await generate(guard.backend, model, sources, options);
    expect(guard.downloads() - before).toBe(2 * (LONGEST - 1));
    expect(results).toEqual(await generated({ numBeams: 3, minLength: LONGEST }));
  });

  test("reports progress after each batch", async () => {
    const reported: number[] = [];
    await generate(backend, bart, sources, optionsOf({}), {
      batchSize: 2,
      onBatch: (done) => reported.push(done),
    });
    expect(reported).toEqual([2, 4, 5]);
  });

  test("stops between batches on request, and leaves no buffer behind", async () => {
    const other = createReferenceBackend();
    const model = generator(other);
    const before = other.memory().live;
    const reported: number[] = [];
    const stopped = generate(other, model, sources, optionsOf({ numBeams: 2 }), {
      batchSize: 2,
      onBatch: (done) => reported.push(done),
      stopRequested: () => reported.length > 0,
    });
    await expect(stopped).rejects.toThrow(Stopped);
    expect(reported).toEqual([2]);
    expect(other.memory().live).toBe(before);
  });

  test("lets timers and signal handlers run, and stops, between decode steps", async () => {
    const slow = createReferenceBackend();
    const model = generator(slow);
    let steps = 0;
    const own = model.decodeStep.bind(model);
    const decodeStep: GenerationModel["decodeStep"] = (...args) => {
      steps++;
      Bun.sleepSync(120);
      return own(...args);
    };
    Object.assign(model, { decodeStep });
    let isRequested = false;
    setTimeout(() => (isRequested = true), 1);
    const stopRequested = () => isRequested;
    const stopped = generate(slow, model, sources, optionsOf({ minLength: LONGEST }), {
      stopRequested,
    });
    await expect(stopped).rejects.toThrow(Stopped);
    expect(steps).toBeLessThan(LONGEST - 2);
  });
});

describe("refused", () => {
  const refusal = async (some: readonly number[][], overrides: GenerationOverrides = {}) =>
    generate(backend, bart, some, optionsOf(overrides)).then(
      () => "generated",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );

  test("an empty or too long source, by its index", async () => {
    const rule = "[generate] a source has 1 to 16 tokens: got";
    expect(await refusal([[5], []])).toBe(`${rule} 0 in source 1`);
    expect(await refusal([Array.from({ length: 17 }, () => 5)])).toBe(`${rule} 17 in source 0`);
  });
  test("ids that the model does not have", async () => {
    const rule = "[generate] ids are below 24, the vocab_size: got";
    expect(await refusal([[5, 24]])).toBe(`${rule} 24 in source 0`);
    expect(await refusal([[5]], { forcedBosId: 99 })).toBe(`${rule} 99`);
  });
  test("a target longer than the positions", async () => {
    expect(await refusal([[5]], { maxLength: 18 })).toBe(
      "[generate] a target has at most 17 tokens with its start token: got max_length 18",
    );
    expect(await refusal([[5]], { maxLength: 17, minLength: 17 })).toBe("generated");
  });
  test.each([1, 3])("NaN scores, with the sources that have them: %d beams", async (numBeams) => {
    const other = createReferenceBackend();
    const { bart: broken, adapted } = tinyBart(other);
    const words = adapted.tree.parameters.get("model.shared.weight")!;
    const values = Float64Array.from(other.download(words.buffer));
    const width = words.shape[1]!;
    expect(sources.filter((source) => source.includes(sources[3]![1]!))).toEqual([sources[3]!]);
    values[sources[3]![1]! * width] = Number.NaN;
    // The output layer is the same matrix: keep its NaN from the other sources.
    broken.topTokens = (pass, hidden, choice) => bart.topTokens(pass, hidden, choice);
    other.upload(words.buffer, values);
    await expect(generate(other, broken, sources, optionsOf({ numBeams }))).rejects.toThrow(
      "[generate]: the scores of token 1 must be finite: got NaN or Infinity in 1 of 5 rows, counted from 0: 3",
    );
  });
  test("with every token banned, the target ends as it is", async () => {
    const all = { noRepeatNgramSize: 1, maxLength: 17, minLength: 17, endIds: [] };
    const { bart: small } = tinyBart(backend, { config: { vocab_size: 4 } });
    const results = await generate(backend, small, [[3]], optionsOf({ ...all, numBeams: 2 }));
    expect(results[0]?.ids.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
  });
});
