import type { ForwardPass } from "../forward-pass.ts";
import type { GenerationOptions } from "../generation/options.ts";
import { createSearch } from "../generation/search.ts";
import type { GenerationModel } from "../model/plugin.ts";
import { KeyValueCache } from "../nn/key-value-cache.ts";
import { type GenerationExamples, sourcesOf } from "./generation-examples.ts";

/**
 * Runs the largest decode step of a batch, to measure its memory: every hypothesis has the maximum
 * length, and hypotheses share no cached tokens.
 */
export function allocateDecodeStep(
  pass: ForwardPass,
  model: GenerationModel,
  set: GenerationExamples,
  indices: ArrayLike<number>,
  options: GenerationOptions,
): void {
  const { numBeams, maxLength } = options;
  const source = model.encode(pass, sourcesOf(set, indices));
  const cache = new KeyValueCache(pass.backend, model.cacheShape);
  const rows = Array.from({ length: indices.length * numBeams }, (_, row) => row);
  cache.extend(Array.from(indices));
  // The decoder never reads the last token.
  for (let length = 2; length < maxLength; length++) {
    cache.extend(length === 2 ? rows.map((row) => Math.floor(row / numBeams)) : rows);
  }
  const hostOffsets = Int32Array.from({ length: indices.length + 1 }, (_, b) => b * numBeams);
  pass.scope(() => {
    const hypotheses = {
      sequences: indices.length,
      tokens: rows.length,
      offsets: pass.integers(hostOffsets),
      hostOffsets,
    };
    const step = { ids: new Int32Array(rows.length), position: cache.length - 1, hypotheses };
    const count = Math.min(createSearch(options).candidatesPerBeam, model.limits.vocabSize);
    const choice = { count, banned: [], repeated: [], penalty: 1, normalise: "before" } as const;
    model.topTokens(pass, model.decodeStep(pass, step, source, cache), choice);
  });
  cache.dispose();
}
