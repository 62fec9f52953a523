import { describe, expect, test } from "bun:test";
import { generationOptions } from "../../../core/generation/options.ts";

const ids = { bos_token_id: 0, eos_token_id: 2, decoder_start_token_id: 2, pad_token_id: 1 };
const config = { ...ids, forced_eos_token_id: 2, max_position_embeddings: 1024 };
const plain = {
  numBeams: 1,
  numReturnSequences: 1,
  maxLength: 21,
  minLength: 0,
  noRepeatNgramSize: 0,
  repetitionPenalty: 1,
  lengthPenalty: 1,
  earlyStopping: false,
  startId: 2,
  endIds: [2],
  forcedBosId: null,
  forcedEosIds: [2],
} as const;

// What transformers 5.24 resolves for the same files and arguments.
describe("options resolve as in transformers", () => {
  test("nothing but ids in config.json", () =>
    expect(generationOptions(config, undefined)).toEqual(plain));

  test("20 new tokens by default, or as many as the model has positions", () =>
    expect(generationOptions({ ...config, max_position_embeddings: 16 }, undefined).maxLength).toBe(
      16,
    ));

  test("an older config.json, and null for absent", () => {
    const older = {
      num_beams: 4,
      max_length: 12,
      min_length: 3,
      no_repeat_ngram_size: 3,
      early_stopping: true,
      length_penalty: 2,
      forced_bos_token_id: 0,
      num_return_sequences: null,
      task_specific_params: { summarization: { num_beams: 6 } },
    };
    expect(generationOptions({ ...config, ...older }, undefined)).toEqual({
      ...plain,
      numBeams: 4,
      maxLength: 12,
      minLength: 3,
      noRepeatNgramSize: 3,
      earlyStopping: true,
      lengthPenalty: 2,
      forcedBosId: 0,
    });
  });

  test("config.json's oldest way to force a first token", () => {
    const oldest = { ...config, force_bos_token_to_be_generated: true };
    expect(generationOptions(oldest, undefined).forcedBosId).toBe(0);
  });

  test("generation_config.json alone, where there is one", () => {
    const file = { ...ids, num_beams: 2, max_length: 6, early_stopping: "never" };
    expect(generationOptions({ ...config, num_beams: 8, min_length: 5 }, file)).toEqual({
      ...plain,
      numBeams: 2,
      maxLength: 6,
      earlyStopping: "never",
      forcedEosIds: [],
    });
  });

  test("new tokens override lengths, and don't count the start token", () => {
    const file = { ...ids, max_length: 50, max_new_tokens: 6, min_length: 1, min_new_tokens: 2 };
    const { maxLength, minLength } = generationOptions(config, file);
    expect([maxLength, minLength]).toEqual([7, 3]);
  });

  test("the start token defaults to bos_token_id", () => {
    const { decoder_start_token_id: _start, ...rest } = ids;
    expect(generationOptions(config, rest).startId).toBe(0);
  });

  test("several end tokens", () =>
    expect(generationOptions(config, { ...ids, eos_token_id: [2, 5] }).endIds).toEqual([2, 5]));
});

describe("the caller's options", () => {
  const file = { ...ids, num_beams: 4, max_new_tokens: 60, forced_bos_token_id: 0 };
  const chosen = (overrides: Parameters<typeof generationOptions>[2]) =>
    generationOptions(config, file, overrides);

  test("override the checkpoint's", () =>
    expect(chosen({ numBeams: 2, lengthPenalty: 0.5 })).toMatchObject({
      numBeams: 2,
      lengthPenalty: 0.5,
      maxLength: 61,
      forcedBosId: 0,
    }));
  test("undefined ones change nothing", () =>
    expect(chosen({ numBeams: undefined, maxNewTokens: undefined })).toEqual(chosen({})));
  test("null forces no token", () => expect(chosen({ forcedBosId: null }).forcedBosId).toBeNull());
  test("a longest length overrides the checkpoint's new tokens", () =>
    expect(chosen({ maxLength: 30 }).maxLength).toBe(30));
  test("new tokens count without the start token", () =>
    expect(chosen({ maxNewTokens: 9, minNewTokens: 3 })).toMatchObject({
      maxLength: 10,
      minLength: 4,
    }));
});

describe("unsupported settings are refused", () => {
  const message = (file: object, overrides = {}) => {
    try {
      generationOptions(config, { ...ids, ...file }, overrides);
    } catch (error) {
      return error instanceof Error ? error.message : "";
    }
    return "no error";
  };
  const source = "generation_config.json:";

  test("sampling", () =>
    expect(message({ do_sample: true })).toBe(
      `${source} "do_sample" must be false or absent: only greedy and beam search are supported, got true`,
    ));
  test("lists of words", () =>
    expect(message({ bad_words_ids: [[3]] })).toStartWith(
      `${source} "bad_words_ids" must be absent`,
    ));
  test("but not what only sampling would read", () =>
    expect(message({ temperature: 0.7, top_k: 5, do_sample: false })).toBe("no error"));
  test("no start token", () =>
    expect(message({ bos_token_id: null, decoder_start_token_id: null })).toContain(
      '"decoder_start_token_id" must be an id',
    ));
  for (const [key, value, want] of [
    ["num_beams", 0, "a whole number above 0"],
    ["num_return_sequences", 3, "a whole number from 1 to num_beams"],
    ["max_length", 1, "a whole number above 1"],
    ["repetition_penalty", 0, "a number above 0"],
    ["early_stopping", "sometimes", 'true, false or "never"'],
    ["eos_token_id", [2, -1], "an id or a list of ids"],
    ["length_penalty", "x", "a number"],
  ] as const)
    test(`${key} of ${JSON.stringify(value)}`, () =>
      expect(message({ [key]: value })).toBe(
        `${source} "${key}" must be ${want}, got ${JSON.stringify(value)}`,
      ));
  test("in the caller's options too", () =>
    expect(message({}, { noRepeatNgramSize: -1 })).toContain('"no_repeat_ngram_size" must be'));
});
