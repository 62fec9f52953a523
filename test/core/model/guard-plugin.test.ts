import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { errors } from "../../../core/errors.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { guardedPlugin, lineIn } from "../../../core/model/guard-plugin.ts";
import { initializeWeights } from "../../../core/model/load-weights.ts";
import { declareModel } from "../../../core/model/open-model.ts";
import type { Model, ModelPlugin } from "../../../core/model/plugin.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { Stopped } from "../../../core/stopped.ts";
import { outsidePlugin } from "../../helpers/outside.ts";

const origin = { file: import.meta.path, files: [import.meta.path], digest: "d1" };

/** The small family of the tests with some fields of its own, guarded. */
const guarded = (fields: Partial<ModelPlugin>): ModelPlugin =>
  guardedPlugin({ ...(outsidePlugin as ModelPlugin), ...fields }, origin);

const config = { vocabSize: 8, width: 4 };
const head = { task: "classification", labels: 2 } as const;
const special = { pad: "p", cls: "c", sep: "s", unk: "u" };

const fail = (): never => {
  throw new TypeError("boom");
};

const lines = readFileSync(import.meta.path, "utf8").split("\n");
const boomLine = 1 + lines.findIndex((line) => line.includes("throw new TypeError"));

function thrown(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error("an error is expected");
}

/** A model whose forward is given. */
const modelOf = (forward: Model["forward"]) => guarded({ build: () => ({ forward }) });
const forward = (plugin: ModelPlugin) => {
  const pass = new ForwardPass(createReferenceBackend(), { training: false });
  return declareModel(plugin, config, head).model.forward(pass, packSequences([[1, 2], [3]]));
};

describe("what a plugin throws names it, the function and the line:", () => {
  const hooks: readonly (readonly [string, () => unknown])[] = [
    ["parseConfig", () => guarded({ parseConfig: fail }).parseConfig({})],
    ["limits", () => guarded({ limits: fail }).limits(config)],
    ["build", () => declareModel(guarded({ build: fail }), config, head)],
    ["forward", () => forward(modelOf(fail))],
    [
      "convert",
      () =>
        guarded({
          tokenizer: { name: "t", special, convert: { files: ["vocab.txt"], build: fail } },
        }).tokenizer.convert?.build([], {}),
    ],
  ];
  test.each(hooks)("%s", (hook, work) => {
    const error = thrown(work);
    const line = new RegExp(`guard-plugin\\.test\\.ts:${boomLine}:\\d+: TypeError: boom$`);
    expect(error).toMatchObject({ code: "E_PLUGIN", hint: undefined });
    expect(error).toHaveProperty("message", expect.stringMatching(line));
    expect(error).toHaveProperty("message", expect.stringContaining(`plugin "outside", ${hook}, `));
    expect(error).toHaveProperty("cause", expect.any(TypeError));
  });

  test("text instead of an error, without a line", () => {
    const plugin = guarded({
      parseConfig() {
        throw "no";
      },
    });
    const message = 'plugin "outside", parseConfig: threw no';
    expect(thrown(() => plugin.parseConfig({}))).toMatchObject({ message });
  });

  test("an internal error of the core that it caused", () => {
    const twice = guarded({
      build(_, __, scope) {
        scope.linear("a", 1, 1, 1);
        scope.linear("a", 1, 1, 1);
        return { forward: fail };
      },
    });
    const error = thrown(() => declareModel(twice, config, head));
    expect(error).toMatchObject({ code: "E_PLUGIN" });
    expect(String(error)).toMatch(/plugin "outside", build, .*guard-plugin\.test\.ts:\d+:\d+: /);
  });
});

test("a model for generation that lacks a part of one is refused when it is built", () => {
  const plugin = guarded({
    tasks: ["generation"],
    build: () => Object({ forward: fail, encode: fail, loss: fail, decodeStep: fail, limits: {} }),
  });
  expect(
    thrown(() => declareModel(plugin, config, { task: "generation", labels: 0 })),
  ).toMatchObject({
    code: "E_PLUGIN",
    message:
      'plugin "outside", build: must return a model that generates: it lacks decode, topTokens, logits, special, cacheShape',
    hint: "the type GenerationModel describes them",
  });
});

test("sizes that are no whole numbers are refused where they are declared", () => {
  const sized = (size: unknown) =>
    guarded({
      build(_, __, scope) {
        scope.table("words", Object(size).valueOf(), 4, 1);
        return { forward: fail };
      },
    });
  for (const [size, text] of [
    ["8", "string 8"],
    [NaN, "number NaN"],
    [-1, "number -1"],
  ])
    expect(() => declareModel(sized(size), config, head)).toThrow(
      `parameter words.weight: a size must be a whole number, got ${text}`,
    );
});

describe("errors that adalora raises on purpose stay as they are:", () => {
  test("of config.json", () => {
    const error = thrown(() => guarded({}).parseConfig({ vocab_size: "8" }));
    expect(error).toMatchObject({ code: "E_CONFIG" });
  });

  test("a stop on request", () => {
    const stop = new Stopped("stopped");
    const plugin = guarded({
      limits() {
        throw stop;
      },
    });
    expect(thrown(() => plugin.limits(config))).toBe(stop);
  });

  test("of shapes, with the line as their hint", () => {
    const wrong = modelOf(() => {
      throw errors.shape("linear", "inner sizes differ", { x: { shape: [2, 3] } });
    });
    expect(thrown(() => forward(wrong))).toMatchObject({
      code: "E_SHAPE",
      message: "[linear] inner sizes differ: got x [2, 3]",
      hint: expect.stringMatching(
        /^in plugin "outside", forward, .*guard-plugin\.test\.ts:\d+:\d+$/,
      ),
    });
  });
});

describe("a result of the wrong kind is refused:", () => {
  // oxlint-disable-next-line typescript/no-explicit-any -- what an author without types may return
  const wrong = (value: unknown) => (): any => value;
  const cases: readonly (readonly [string, () => unknown, string])[] = [
    [
      "parseConfig",
      () => guarded({ parseConfig: wrong(undefined) }).parseConfig({}),
      "an object, got undefined",
    ],
    [
      "limits",
      () => guarded({ limits: wrong({ vocabSize: 4 }) }).limits(config),
      'vocabSize and maxLength, whole numbers above 0 (maxLength may be Infinity), got {"vocabSize":4}',
    ],
    [
      "build",
      () => declareModel(guarded({ build: wrong({}) }), config, head),
      "a model with a function forward, got {}",
    ],
    ["forward", () => forward(modelOf(wrong(null))), "a tensor, got null"],
    ["parseConfig", () => guarded({ parseConfig: wrong([]) }).parseConfig({}), "an object, got []"],
    [
      "limits",
      () => guarded({ limits: wrong({ vocabSize: "4", maxLength: 2 }) }).limits(config),
      'vocabSize and maxLength, whole numbers above 0 (maxLength may be Infinity), got {"vocabSize":"4","maxLength":2}',
    ],
    [
      "build",
      () =>
        declareModel(guarded({ build: wrong(Promise.reject(new Error("late"))) }), config, head),
      "a model with a function forward, got a Promise",
    ],
    [
      "forward",
      () => forward(modelOf(wrong({ shape: [2, 3], buffer: {} }))),
      "logits [2, 2], got [2, 3]",
    ],
    [
      "forward",
      () => forward(modelOf(wrong({ shape: [3, 2], buffer: {} }))),
      "logits [2, 2], got [3, 2]",
    ],
    [
      "convert",
      () =>
        guarded({
          tokenizer: { name: "t", special, convert: { files: ["v"], build: wrong({ a: 1 }) } },
        }).tokenizer.convert?.build([], {}),
      'a tokenizer.json: an object with a model and added_tokens, got {"a":1}',
    ],
  ];
  test.each(cases)("%s", (hook, work, text) => {
    const message = `plugin "outside", ${hook}: must return ${text}`;
    expect(thrown(work)).toMatchObject({ code: "E_PLUGIN", message });
  });
});

test("a plugin that changes config.json changes a copy", () => {
  const raw = { vocab_size: 8, nested: { a: 1 } };
  const parseConfig = (own: Readonly<Record<string, unknown>>) =>
    Object.assign(Object(own["nested"]), { a: 2 });
  guarded({ parseConfig }).parseConfig(raw);
  expect(raw).toEqual({ vocab_size: 8, nested: { a: 1 } });
});

test("a guarded tokenizer's conversion has the digest of the plugin as its version", () => {
  const convert = { files: ["vocab.txt"], build: fail };
  const { tokenizer } = guarded({ tokenizer: { name: "t", special, convert } });
  expect(tokenizer.convert?.version).toBe("d1");
  expect(guarded({ tokenizer: { name: "t", special } }).tokenizer).toEqual({ name: "t", special });
});

test("a guarded model computes what the model computes, private members included", () => {
  class Counting {
    #calls = 0;
    readonly inner: Model;
    constructor(inner: Model) {
      this.inner = inner;
    }
    forward(...args: Parameters<Model["forward"]>) {
      this.#calls++;
      return this.inner.forward(...args);
    }
    calls() {
      return this.#calls;
    }
  }
  const build = (...args: Parameters<ModelPlugin["build"]>) =>
    new Counting((outsidePlugin as ModelPlugin).build(...args));
  const backend = createReferenceBackend();
  const logits = [outsidePlugin as ModelPlugin, guarded({ build })].map((plugin) => {
    const { model, tree } = declareModel(plugin, config, head);
    initializeWeights(backend, tree, 3);
    const pass = new ForwardPass(backend, { training: false });
    const batch = packSequences([
      [1, 2],
      [3, 4],
    ]);
    let values: number[] = [];
    pass.scope(() => void (values = [...backend.download(model.forward(pass, batch).buffer)]));
    if (model instanceof Counting) expect(model.calls()).toBe(1);
    return values;
  });
  expect(logits[0]).toEqual(logits[1] ?? []);
  expect(logits[0]).toHaveLength(4);
});

test("the line is that of the innermost frame in one of the plugin's files", () => {
  const error = new Error("boom");
  error.stack = `Error: boom
    at deep (/app/core/ops/linear.ts:3:4)
    at forward (/me/layers.ts:10:2)
    at forward (/me/bert.ts:20:1)`;
  expect(lineIn(error, ["/me/bert.ts", "/me/layers.ts"])).toBe("/me/layers.ts:10:2");
  expect(lineIn(error, ["/me/other.ts"])).toBeUndefined();
  expect(lineIn("boom", ["/me/bert.ts"])).toBeUndefined();
});
