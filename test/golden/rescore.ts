import { createReferenceBackend } from "../../core/backend/reference.ts";
import type { GenerationOptions } from "../../core/generation/options.ts";
import { bannedIds, forcedIds } from "../../core/generation/token-rules.ts";
import { packSequences } from "../../core/nn/packed-batch.ts";
import type { GenerationModel } from "../../core/model/plugin.ts";
import { ForwardPass } from "../../core/forward-pass.ts";

/** The score of a text that a model on the reference backend gives: of the whole text at once, with all logits on the host. */
export function rescore(
  model: GenerationModel,
  source: ArrayLike<number>,
  text: readonly number[],
  options: GenerationOptions,
): number {
  const logits = logitsOf(model, source, text);
  const classes = model.limits.vocabSize;
  const greedy = options.numBeams === 1;
  const scores = text.slice(1).map((id, row) => {
    const before = text.slice(0, row + 1);
    if (forcedIds(before.length, options)?.includes(id)) return 0;
    const all = logits.slice(row * classes, (row + 1) * classes);
    const banned = new Set(bannedIds(before, options));
    if (banned.has(id)) return -Infinity;
    const counted = all.filter((_, c) => !greedy || !banned.has(c));
    const top = Math.max(...counted);
    return all[id]! - top - Math.log(counted.reduce((sum, x) => sum + Math.exp(x - top), 0));
  });
  const sum = scores.reduce((a, b) => a + b, 0);
  return greedy ? sum : sum / scores.length ** options.lengthPenalty;
}

function logitsOf(
  model: GenerationModel,
  source: ArrayLike<number>,
  text: readonly number[],
): number[] {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  let logits: number[] = [];
  pass.scope(() => {
    const batch = { ...packSequences([source]), target: packSequences([text.slice(0, -1)]) };
    logits = Array.from(backend.download(model.forward(pass, batch).buffer));
  });
  return logits;
}
