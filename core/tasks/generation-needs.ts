import { KeyValueCache } from "../nn/key-value-cache.ts";
import type { GenerationOptions } from "../generation/options.ts";
import { createSearch } from "../generation/search.ts";
import type { GenerationModel } from "../model/plugin.ts";
import type { ForwardPass } from "../forward-pass.ts";
import { type GenerationExamples, sourcesOf } from "./generation-examples.ts";

/**
 * Takes the memory of writing about a batch's sources: of one step, whose texts are all as long as they may become and have no beginning
 * in common.
 */
export function lastStep(
  pass: ForwardPass,
  model: GenerationModel,
  set: GenerationExamples,
  items: ArrayLike<number>,
  options: GenerationOptions,
): void {
  const { numBeams, maxLength } = options;
  const source = model.encode(pass, sourcesOf(set, items));
  const cache = new KeyValueCache(pass.backend, model.cacheShape);
  const rows = Array.from({ length: items.length * numBeams }, (_, row) => row);
  cache.extend(Array.from(items));
  // The last of all tokens is never read.
  for (let length = 2; length < maxLength; length++) {
    cache.extend(length === 2 ? rows.map((row) => Math.floor(row / numBeams)) : rows);
  }
  const hostOffsets = Int32Array.from({ length: items.length + 1 }, (_, b) => b * numBeams);
  pass.scope(() => {
    const texts = {
      sequences: items.length,
      tokens: rows.length,
      offsets: pass.integers(hostOffsets),
      hostOffsets,
    };
    const step = { ids: new Int32Array(rows.length), position: cache.length - 1, texts };
    const count = Math.min(createSearch(options).width, model.limits.vocabSize);
    const choice = { count, banned: [], repeated: [], penalty: 1, normalise: "before" } as const;
    model.topTokens(pass, model.write(pass, step, source, cache), choice);
  });
  cache.dispose();
}
