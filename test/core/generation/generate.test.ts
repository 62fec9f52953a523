import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { Backend } from "../../../core/backend.ts";
import { generate } from "../../../core/generation/generate.ts";
import { type GenerationOverrides, generationOptions } from "../../../core/generation/options.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import type { GenerationModel } from "../../../core/model/plugin.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { guarded } from "../../helpers/guarded-backend.ts";
import { tinyBart, tinyPair } from "../../helpers/tiny-bart.ts";
import { counted } from "../../helpers/watched-backend.ts";

const IDS = { decoder_start_token_id: 2, bos_token_id: 0, eos_token_id: 2 };
const LONGEST = 12;
const sources = [3, 0, 5, 2, 1].map((index) => tinyPair(index).source);

const optionsOf = (overrides: GenerationOverrides) =>
  generationOptions({}, IDS, { maxLength: LONGEST, ...overrides });

/** A tiny BART whose texts are neither one token for ever nor over at once. */
function writer(backend: Backend): GenerationModel {
  const { bart, adapted } = tinyBart(backend, { config: { init_std: 0.7 } });
  const bias = adapted.tree.parameters.get("final_logits_bias");
  if (!bias) throw new Error("no bias");
  const likely = Float64Array.from({ length: bias.length }, (_, word) => (word === 2 ? 3 : 0));
  backend.upload(bias.buffer, likely);
  return bart;
}

const backend = createReferenceBackend();
const bart = writer(backend);
const written = (overrides: GenerationOverrides, batchSize = 16, some = sources) =>
  generate(backend, bart, some, optionsOf(overrides), { batchSize });

/** The next token after a text by the whole decoder at once, without a cache. */
function bestNext(source: readonly number[], text: readonly number[]): number {
  const pass = new ForwardPass(backend, { training: false });
  let logits: number[] = [];
  pass.scope(() => {
    const hidden = bart.decode(
      pass,
      packSequences([text]),
      bart.encode(pass, packSequences([source])),
    );
    logits = Array.from(backend.download(bart.logits(pass, hidden).buffer));
  });
  const last = logits.slice(-bart.limits.vocabSize);
  return last.indexOf(Math.max(...last));
}

describe("texts", () => {
  test("written greedily with a cache are those of the whole decoder, token by token", async () => {
    const expected = sources.map((source) => {
      const text = [2];
      do text.push(bestNext(source, text));
      while (text.at(-1) !== 2 && text.length < LONGEST);
      return text;
    });
    const got = (await written({})).map(({ ids }) => ids);
    expect(got).toEqual(expected);
    expect(new Set(got.map(({ length }) => length)).size).toBeGreaterThan(2); // some leave before others
  });

  for (const numBeams of [1, 2, 3, 8])
    test(`of ${numBeams} beams do not depend on their company`, async () => {
      const options = { numBeams, numReturnSequences: numBeams, noRepeatNgramSize: 3 };
      const together = await written(options);
      const apart = await Promise.all(sources.map((source) => written(options, 1, [source])));
      const rounded = (score: number) => score.toFixed(9);
      const shown = (texts: typeof together) =>
        texts.map(({ ids, score, others }) =>
          [{ ids, score }, ...others].map((text) => [text.ids, rounded(text.score)]),
        );
      expect(shown(together)).toEqual(shown(apart.flat()));
      expect(shown(await written(options, 2))).toEqual(shown(together));
    });

  test("come in the order of their sources", async () => {
    const [forwards, backwards] = await Promise.all([
      written({ numBeams: 2 }, 2),
      written({ numBeams: 2 }, 2, sources.toReversed()),
    ]);
    expect(backwards).toEqual(forwards.toReversed());
  });

  test("of beams have the score of their tokens", async () => {
    for (const { ids, score } of await written({ numBeams: 3, lengthPenalty: 2 })) {
      expect(ids[0]).toBe(2);
      expect(score).toBeLessThan(0);
      expect(score * (ids.length - 1) ** 2).toBeGreaterThan(-40);
    }
  });
});

describe("options", () => {
  const idsOf = async (overrides: GenerationOverrides) =>
    (await written(overrides)).map(({ ids }) => ids);

  for (const numBeams of [1, 3]) {
    test(`a longest length, ${numBeams} beams`, async () =>
      expect(Math.max(...(await idsOf({ numBeams, maxLength: 5 })).map((ids) => ids.length))).toBe(
        5,
      ));
    test(`a shortest length, ${numBeams} beams`, async () => {
      const lengths = (await idsOf({ numBeams, minLength: 8 })).map((ids) => ids.length);
      expect(Math.min(...lengths)).toBeGreaterThan(8); // the end token comes behind it
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

  test("a length penalty: the higher, the longer the texts", async () => {
    const total = async (lengthPenalty: number) =>
      (await idsOf({ numBeams: 4, lengthPenalty, earlyStopping: "never" })).flat().length;
    expect(await total(3)).toBeGreaterThan(await total(-1));
  });
});

describe("work", () => {
  test("leaves no bytes behind, when it fails too", async () => {
    const { live } = backend.memory();
    await written({ numBeams: 4 });
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

  test("a source's keys and values are made once, whatever its beams and tokens", async () => {
    const watched = counted(backend);
    const model = writer(watched.backend);
    watched.reset();
    await generate(watched.backend, model, sources, optionsOf({ numBeams: 4, minLength: LONGEST }));
    expect(watched.calls("topLogProbabilities")).toBe(LONGEST - 1);
    expect(watched.calls("attention")).toBe(2 + 2 * (LONGEST - 1)); // encoder, then the decoder's layers each step
    expect(watched.calls("attendChosenRows")).toBe(2 * (LONGEST - 1));
  });

  test("two small downloads a step, and nothing else that a device could not do", async () => {
    const guard = guarded(createReferenceBackend());
    const model = writer(guard.backend);
    const before = guard.downloads();
    const options = optionsOf({ numBeams: 3, minLength: LONGEST });
    const texts = await generate(guard.backend, model, sources, options);
    expect(guard.downloads() - before).toBe(2 * (LONGEST - 1));
    expect(texts).toEqual(await written({ numBeams: 3, minLength: LONGEST }));
  });

  test("tells of each batch", async () => {
    const told: number[] = [];
    await generate(backend, bart, sources, optionsOf({}), {
      batchSize: 2,
      onBatch: (done) => told.push(done),
    });
    expect(told).toEqual([2, 4, 5]);
  });
});

describe("what can't be written", () => {
  const refusal = async (some: readonly number[][], overrides: GenerationOverrides = {}) =>
    generate(backend, bart, some, optionsOf(overrides)).then(
      () => "written",
      (error: unknown) => (error instanceof Error ? error.message : ""),
    );

  test("an empty or too long source, by its number", async () => {
    const rule = "[generate] a source has 1 to 16 tokens: got";
    expect(await refusal([[5], []])).toBe(`${rule} 0 in source 1`);
    expect(await refusal([Array.from({ length: 17 }, () => 5)])).toBe(`${rule} 17 in source 0`);
  });
  test("ids that the model does not have", async () => {
    const rule = "[generate] ids are below 24, the vocab_size: got";
    expect(await refusal([[5, 24]])).toBe(`${rule} 24 in source 0`);
    expect(await refusal([[5]], { forcedBosId: 99 })).toBe(`${rule} 99`);
  });
  test("a text longer than there are positions", async () => {
    expect(await refusal([[5]], { maxLength: 18 })).toBe(
      "[generate] a text has at most 17 tokens with its start token: got max_length 18",
    );
    expect(await refusal([[5]], { maxLength: 17, minLength: 17 })).toBe("written");
  });
  test("scores that are no numbers", async () => {
    const other = createReferenceBackend();
    const { bart: broken, adapted } = tinyBart(other);
    const bias = adapted.tree.parameters.get("final_logits_bias")!;
    other.upload(bias.buffer, new Float64Array(24).fill(Number.NaN));
    await expect(generate(other, broken, [[5]], optionsOf({}))).rejects.toThrow(
      "[generate] the model's scores are finite numbers: got NaN for token 1",
    );
  });
  test("nothing may follow: the text ends as it is", async () => {
    const all = { noRepeatNgramSize: 1, maxLength: 17, minLength: 17, endIds: [] };
    const { bart: small } = tinyBart(backend, { config: { vocab_size: 4 } });
    const texts = await generate(backend, small, [[3]], optionsOf({ ...all, numBeams: 2 }));
    expect(texts[0]?.ids.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3]);
  });
});
