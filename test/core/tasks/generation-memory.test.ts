import { expect, test } from "bun:test";
import { createCountingBackend } from "../../../core/backend/counting.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { packTokens } from "../../../core/data/token-cache.ts";
import { generate } from "../../../core/generation/generate.ts";
import { generationOptions } from "../../../core/generation/options.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { GenerationExamples } from "../../../core/tasks/generation-examples.ts";
import { allocateDecodeStep } from "../../../core/tasks/generation-memory.ts";
import { tinyBart, tinyBartConfig, tinyPair } from "../../helpers/tiny-bart.ts";

const sources = [1, 4, 2].map((index) => tinyPair(index).source);
const set: GenerationExamples = {
  name: "validation",
  examples: sources.map((_, index) => ({ index, text: "" })),
  source: packTokens(
    sources.map((ids) => ({ ids: Int32Array.from(ids), typeIds: new Int32Array(ids.length) })),
  ),
  target: undefined,
  lengths: Int32Array.from(sources, ({ length }) => length),
  warnings: [],
};

const config = {
  ...tinyBartConfig,
  max_position_embeddings: 64,
  decoder_start_token_id: 2,
  eos_token_id: 2,
};

test.each([
  [1, 16],
  [1, 60],
  [4, 16],
  [4, 60],
  [7, 40],
])(
  "decoding with %d beams of %d tokens takes no more memory than predicted, and not far less",
  async (numBeams, length) => {
    const lengths = { numBeams, minLength: length, maxLength: length };
    const options = generationOptions(config, undefined, lengths);

    const counting = createCountingBackend({ activation: "f64", master: "f64" });
    const { bart: counted } = tinyBart(counting, { config });
    const loaded = counting.memory().live;
    const pass = new ForwardPass(counting, { training: false });
    pass.scope(() => allocateDecodeStep(pass, counted, set, [0, 1, 2], options));
    const predicted = counting.memory().peak - loaded;
    expect(counting.memory().live).toBe(loaded);

    const backend = createReferenceBackend();
    const { bart } = tinyBart(backend, { config });
    const before = backend.memory().live;
    const generated = await generate(backend, bart, sources, options);
    expect(generated.map(({ ids }) => ids.length)).toEqual([length, length, length]);
    const measured = backend.memory().peak - before;
    expect(measured).toBeLessThanOrEqual(predicted);
    expect(measured).toBeGreaterThan(predicted / 3);
  },
);
