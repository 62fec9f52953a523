import { expect, test } from "bun:test";
import { checkDecoding } from "../../../cli/plugin-check/decoding.ts";
import { shrink } from "../../../cli/plugin-check/shrink.ts";
import { createSubject } from "../../../cli/plugin-check/subject.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import type { GenerationModel } from "../../../core/kit/kit.ts";
import { buildBart } from "../../../models/bart/model.ts";
import { bart } from "../../../plugins/bart/index.ts";
import { tinyBartConfig } from "../../helpers/tiny-bart.ts";

const kind = { task: "generation", paddedQueries: undefined, name: "generation" } as const;

/** What is found of BART with some of its methods replaced. */
function found(replaced: (right: GenerationModel) => Partial<GenerationModel> = () => ({})) {
  const build: typeof bart.build = (config, head, scope) => {
    const right = buildBart(config, head, scope);
    const bound: GenerationModel = {
      special: right.special,
      limits: right.limits,
      cacheShape: right.cacheShape,
      forward: (...args) => right.forward(...args),
      encode: (...args) => right.encode(...args),
      decode: (...args) => right.decode(...args),
      decodeStep: (...args) => right.decodeStep(...args),
      topTokens: (...args) => right.topTokens(...args),
      logits: (...args) => right.logits(...args),
      loss: (...args) => right.loss(...args),
    };
    return { ...bound, ...replaced(bound) };
  };
  const { subject } = shrink({ ...bart, build }, tinyBartConfig);
  if (!subject) throw new Error("the tiny BART is small enough");
  const { level, message, hint } = checkDecoding(
    createSubject(createReferenceBackend(), subject, kind),
  );
  return `${level}: ${message}${hint === undefined ? "" : `\n  change: ${hint}`}`;
}

test("BART decodes as it computes whole targets", () =>
  expect(found()).toBe("ok: 15 tokens one by one, as in whole targets"));

type Replace = NonNullable<Parameters<typeof found>[0]>;

const mistakes: readonly (readonly [string, Replace, string])[] = [
  [
    "a position that stays",
    (right) => ({
      decodeStep: (pass, step, ...rest) =>
        right.decodeStep(pass, { ...step, position: 0 }, ...rest),
    }),
    [
      "fail: decodeStep gives other hidden states than decode from token 1 on: they differ by 4.8e-1",
      "  change: in each layer cache.write keys and values before attending to the rows of cache.index; step.position is the tokens' position",
    ].join("\n"),
  ],
  [
    "a position that begins at 1",
    (right) => ({
      decodeStep: (pass, step, ...rest) =>
        right.decodeStep(pass, { ...step, position: step.position + 1 }, ...rest),
    }),
    [
      "fail: decodeStep gives other hidden states than decode from token 0 on: they differ by 1.3e+0",
      "  change: the first token alone differs: compare its embedding, step.position and the rows of its source",
    ].join("\n"),
  ],
  [
    "tokens that see only each other",
    (right) => ({
      decodeStep(pass, { ids, position, hypotheses: { hostOffsets: offsets } }, source) {
        const positions = new Int32Array(ids.length).fill(position);
        return right.decode(pass, { ids, positions, offsets }, source);
      },
    }),
    [
      "fail: decodeStep gives other hidden states than decode from token 1 on: they differ by 1.1e+0",
      "  change: in each layer cache.write keys and values before attending to the rows of cache.index; step.position is the tokens' position",
    ].join("\n"),
  ],
  [
    "the best tokens of other hidden states",
    (right) => ({
      topTokens(pass, hidden, choice) {
        pass.backend.scale(hidden.buffer, 2, hidden.buffer);
        return right.topTokens(pass, hidden, choice);
      },
    }),
    [
      "fail: topTokens gives other scores than the logits: they differ by 3.7e-1",
      "  change: ops.topLogProbabilities takes the weight and the bias that logits has",
    ].join("\n"),
  ],
  [
    "a loss that smooths labels by itself",
    (right) => ({
      loss: (pass, hidden, targets) => right.loss(pass, hidden, { ...targets, smoothing: 0.2 }),
    }),
    [
      "fail: the loss is 3.19424, the mean cross entropy of the logits 3.10425",
      "  change: ops.vocabularyLoss takes the weight and the bias that logits has, and the targets' smoothing",
    ].join("\n"),
  ],
  [
    "a forward pass of its own",
    (right) => ({
      forward(pass, batch) {
        const logits = right.forward(pass, batch);
        pass.backend.scale(logits.buffer, 2, logits.buffer);
        return logits;
      },
    }),
    [
      "fail: forward gives other logits than encode, decode and logits: they differ by 1.0e+0",
      "  change: return this.logits(pass, this.decode(pass, batch.target, this.encode(…)))",
    ].join("\n"),
  ],
];

test.each(mistakes)("a mistake is found: %s", (_, replaced, expected) =>
  expect(found(replaced)).toBe(expected),
);
