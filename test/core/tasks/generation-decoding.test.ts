import { describe, expect, test } from "bun:test";
import { decodingOptions, type DecodingSettings } from "../../../core/tasks/generation-decoding.ts";
import { tinyBartFiles } from "../../helpers/tiny-bart-files.ts";

const rawConfig = { decoder_start_token_id: 2, eos_token_id: 2, num_beams: 3, max_length: 5 };
const files = tinyBartFiles(rawConfig);
const unset: DecodingSettings = {
  maxTargetLength: 40,
  minTargetLength: null,
  numBeams: null,
  lengthPenalty: null,
  beamStopping: null,
  noRepeatNgram: null,
};

describe("decoding options", () => {
  test("the user's override the model's; the target length is always the user's", () => {
    const overrides = {
      maxTargetLength: 30,
      minTargetLength: 4,
      numBeams: 6,
      lengthPenalty: 0.5,
      noRepeatNgram: 3,
    };
    expect(decodingOptions(files, { ...overrides, beamStopping: "never" })).toMatchObject({
      maxLength: 30,
      minLength: 4,
      numBeams: 6,
      lengthPenalty: 0.5,
      noRepeatNgramSize: 3,
      earlyStopping: "never",
    });
  });

  test("unset ones are the model's, from generation_config.json if it exists", () => {
    const own = {
      ...rawConfig,
      num_beams: 4,
      length_penalty: 2,
      min_length: 7,
      no_repeat_ngram_size: 2,
      early_stopping: true,
      num_return_sequences: 4, // ignored: one summary per text
    };
    expect(decodingOptions(files, unset)).toMatchObject({ numBeams: 3, maxLength: 40 });
    expect(decodingOptions({ ...files, generationConfig: own }, unset)).toMatchObject({
      maxLength: 40,
      minLength: 7,
      numBeams: 4,
      lengthPenalty: 2,
      noRepeatNgramSize: 2,
      earlyStopping: true,
      numReturnSequences: 1,
    });
  });

  test.each([
    ["true", true],
    ["false", false],
    ["never", "never"],
  ] as const)("--beam-stopping %s", (beamStopping, expected) => {
    const own = { ...files, rawConfig: { ...rawConfig, early_stopping: expected !== true } };
    expect(decodingOptions(own, { ...unset, beamStopping }).earlyStopping).toBe(expected);
  });
});
