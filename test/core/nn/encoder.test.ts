import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass, type ForwardPassOptions } from "../../../core/forward-pass.ts";
import { initializeWeights } from "../../../core/model/load-weights.ts";
import { Embeddings, positions, tokenTypes, words } from "../../../core/nn/embeddings.ts";
import type { RotaryTables } from "../../../core/kernels/rotary.ts";
import { PostNormLayer, PreNormLayer } from "../../../core/nn/encoder-layer.ts";
import { GatedMlp } from "../../../core/nn/mlp.ts";
import { uploadRotary } from "../../../core/nn/rotary.ts";
import { SelfAttention } from "../../../core/nn/self-attention.ts";
import { Encoder } from "../../../core/nn/encoder.ts";
import { lastToken, meanOfTokens } from "../../../core/nn/heads.ts";
import { ModuleScope } from "../../../core/nn/module-scope.ts";
import { packSequences, type TokenBatch } from "../../../core/nn/packed-batch.ts";
import type { EncoderPadding } from "../../../core/nn/padding.ts";
import { ParameterArena } from "../../../core/optim/parameter-arena.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { product } from "../../helpers/ops.ts";
import { masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const NAMES = {
  query: "q",
  key: "k",
  value: "v",
  output: "o",
  attentionNorm: "norm1",
  up: "up",
  down: "down",
  mlpNorm: "norm2",
};
const WIDTH = 6;
const batch = packSequences([[1, 2, 3, 4], [5], [6, 7, 8]]);

/** Pre-norm layers with rotary positions, RMSNorm and gated MLPs. */
function preNormEncoder({ padding, dropout = 0 }: { padding?: EncoderPadding; dropout?: number }) {
  const backend = createReferenceBackend();
  const scope = ModuleScope.root();
  const linear = (layer: ModuleScope, name: string, from = WIDTH, to = WIDTH) =>
    layer.linear(name, from, to, 0.5, { bias: false });
  const layerOf = (layer: ModuleScope, isFirst: boolean) =>
    new PreNormLayer<RotaryTables>({
      attentionNorm: isFirst ? undefined : layer.rmsNorm("norm1", WIDTH, 1e-6),
      attention: new SelfAttention({
        query: linear(layer, "q"),
        key: linear(layer, "k", WIDTH, 2),
        value: linear(layer, "v", WIDTH, 2),
        output: linear(layer, "o"),
        heads: 3,
        rotary: (tables) => tables,
        dropout,
      }),
      mlpNorm: layer.layerNorm("norm2", WIDTH, 1e-6, { bias: false }),
      mlp: new GatedMlp({
        up: linear(layer, "up", WIDTH, 8),
        gate: linear(layer, "gate", WIDTH, 8),
        down: linear(layer, "down", 8),
        activation: "silu",
      }),
      dropout,
    });
  const encoder = new Encoder<RotaryTables>({
    embeddings: new Embeddings({ tables: [words(scope.table("words", 12, WIDTH, 0.5))], dropout }),
    layers: [layerOf(scope.child("layers.0"), true), layerOf(scope.child("layers.1"), false)],
    norm: scope.rmsNorm("norm", WIDTH, 1e-6),
    share(pass, { positions: all }) {
      const tables = uploadRotary(pass, all, { theta: 100, rotated: 2 });
      return { value: tables, buffers: [tables.cos, tables.sin] };
    },
    ...(padding ? { padding } : {}),
  });
  initializeWeights(backend, scope.tree, 3);
  return { backend, encoder, tree: scope.tree };
}

function tinyEncoder({
  padding,
  dropout = 0,
}: { padding?: EncoderPadding; dropout?: number } = {}) {
  const backend = createReferenceBackend();
  const scope = ModuleScope.root();
  const sizes = {
    hiddenSize: WIDTH,
    heads: 2,
    ffnSize: 8,
    activation: "gelu",
    layerNormEps: 1e-6,
    initializerRange: 0.5,
    dropout: { hidden: dropout, attention: dropout },
  } as const;
  const encoder = new Encoder({
    embeddings: new Embeddings({
      tables: [
        words(scope.table("words", 12, WIDTH, 0.5)),
        positions(scope.table("positions", 10, WIDTH, 0.5), 2),
        tokenTypes(scope.table("types", 2, WIDTH, 0.5)),
      ],
      norm: scope.layerNorm("norm", WIDTH, 1e-6),
      dropout,
    }),
    layers: [0, 1].map((i) => PostNormLayer.named(scope.child(`layers.${i}`), NAMES, sizes)),
    ...(padding ? { padding } : {}),
  });
  initializeWeights(backend, scope.tree, 3);
  return { backend, encoder, tree: scope.tree };
}

type Subject = Pick<ReturnType<typeof tinyEncoder>, "backend" | "tree">;

/** Both kinds of layers. */
const kinds = [
  ["post-norm", tinyEncoder],
  ["pre-norm", preNormEncoder],
] as const;

function valuesOf(
  { backend }: Subject,
  build: (pass: ForwardPass) => Tensor,
  options: Partial<ForwardPassOptions> = {},
): number[] {
  let out: number[] = [];
  const pass = new ForwardPass(backend, { training: false, ...options });
  pass.scope(() => {
    out = Array.from(backend.download(build(pass).buffer));
  });
  return out;
}

/** All gradients of the mean over some weights of what `build` returns. */
function gradientsOf(
  { backend, tree }: Subject,
  build: (pass: ForwardPass) => Tensor,
  checkpointing: boolean,
): number[] {
  const parameters = [...tree.parameters.values()];
  const arena = new ParameterArena(backend, [], parameters);
  const pass = new ForwardPass(backend, { training: true, seed: [1, 2], checkpointing });
  pass.scope(() => {
    const y = build(pass);
    const cotangent = masters(backend, wave(y.buffer.length, 1));
    pass.tape.backward(product(pass, { y }, { cotangent }), 1);
  });
  return Array.from(backend.download(arena.gradients));
}

describe.each(kinds)("an encoder of %s layers", (_, encoderOf) => {
  const rowsOf = (values: readonly number[], rows: readonly number[]) =>
    rows.flatMap((row) => values.slice(row * WIDTH, (row + 1) * WIDTH));

  test("computes first tokens alone as among all", () => {
    const subject = encoderOf({});
    const all = valuesOf(subject, (pass) => subject.encoder.forward(pass, batch));
    const firsts = valuesOf(subject, (pass) => subject.encoder.firstRows(pass, batch));
    expect(firsts).toEqual(rowsOf(all, [0, 4, 5]));
    const seen: string[] = [];
    const observed = valuesOf(subject, (pass) => subject.encoder.firstRows(pass, batch), {
      observe: (name, { shape }) => seen.push(`${name} ${shape.join(" ")}`),
    });
    expect(observed).toEqual(firsts);
    expect(seen).toEqual(["hidden.0 8 6", "hidden.1 8 6", "hidden.2 8 6"]);
  });

  test("computes a sequence the same in any batch", () => {
    const subject = encoderOf({});
    const all = valuesOf(subject, (pass) => subject.encoder.forward(pass, batch));
    const alone = valuesOf(subject, (pass) =>
      subject.encoder.forward(pass, packSequences([[6, 7, 8]])),
    );
    expect(rowsOf(all, [5, 6, 7])).toEqual(alone);
  });

  test("pools last tokens and means", () => {
    const subject = encoderOf({});
    const all = valuesOf(subject, (pass) => subject.encoder.forward(pass, batch));
    const last = valuesOf(subject, (pass) => lastToken(pass, subject.encoder, batch));
    expect(last).toEqual(rowsOf(all, [3, 4, 7]));
    const means = valuesOf(subject, (pass) => meanOfTokens(pass, subject.encoder, batch));
    expect(means[0]).toBeCloseTo((all[0]! + all[6]! + all[12]! + all[18]!) / 4, 12);
  });

  const padded = { ...batch, padding: Int32Array.of(2, 0, 3) };
  const token = { id: 0 };
  const cases: readonly (readonly [string, EncoderPadding | undefined, TokenBatch])[] = [
    ["all rows", undefined, batch],
    ["padding that attends to nothing", { queries: "zero", token }, padded],
    ["padding that attends to the tokens", { queries: "uniform", token }, padded],
    ["masked padding", { queries: "zero" }, padded],
  ];
  for (const [note, padding, input] of cases)
    test(`reruns layers to the same gradients, and frees every buffer: ${note}`, () => {
      const results = [false, true].map((checkpointing) => {
        const subject = encoderOf({ dropout: 0.3, ...(padding ? { padding } : {}) });
        const run = () =>
          gradientsOf(subject, (pass) => subject.encoder.forward(pass, input), checkpointing);
        const first = run();
        expect(first.some((value) => value !== 0)).toBe(true);
        return first;
      });
      expect(results[1]).toEqual(results[0]);
    });
});

describe("padding rows of plain attention", () => {
  const padding = Int32Array.of(2, 0, 3);
  const padded = { ...batch, padding };
  const token = { id: 0 };

  test("leave the tokens' rows as they are", () => {
    const plain = tinyEncoder();
    const all = valuesOf(plain, (pass) => plain.encoder.forward(pass, batch));
    for (const [queries, rows] of [
      ["zero", 2],
      ["uniform", 5],
    ] as const) {
      const subject = tinyEncoder({ padding: { queries, token } });
      const out = valuesOf(subject, (pass) => subject.encoder.forward(pass, padded));
      expect(out.slice(0, all.length)).toEqual(all);
      expect(out.length).toBe(all.length + rows * WIDTH);
    }
  });

  test("that attend to nothing are the same whatever the tokens are", () => {
    const subject = tinyEncoder({ padding: { queries: "zero", token } });
    const tailOf = (ids: readonly number[][]) =>
      valuesOf(subject, (pass) =>
        subject.encoder.forward(pass, { ...packSequences(ids), padding }),
      ).slice(-2 * WIDTH);
    const [first, second] = [tailOf([[1, 2], [3], [4]]), tailOf([[9, 8], [7], [6]])];
    expect(first).toEqual(second);
    expect(first.slice(0, WIDTH)).toEqual(first.slice(WIDTH));
  });

  test("that attend to the tokens differ by position, unless it is fixed", () => {
    const tailOf = (rule: EncoderPadding) => {
      const subject = tinyEncoder({ padding: rule });
      const out = valuesOf(subject, (pass) => subject.encoder.forward(pass, padded));
      return [out.slice(8 * WIDTH, 9 * WIDTH), out.slice(9 * WIDTH, 10 * WIDTH)];
    };
    const [first, second] = tailOf({ queries: "uniform", token });
    expect(first).not.toEqual(second!);
    const [one, other] = tailOf({ queries: "uniform", token: { id: 0, position: -1 } });
    expect(one).toEqual(other);
  });

  test("refuse a padding token that the table lacks", () => {
    const { backend, encoder } = tinyEncoder({
      padding: { queries: "uniform", token: { id: 99 } },
    });
    const pass = new ForwardPass(backend, { training: false });
    expect(() => pass.scope(() => encoder.forward(pass, padded))).toThrow(
      /words\.weight has no row 99: it has \d+$/,
    );
  });

  test("need the encoder's declaration", () => {
    const { backend, encoder } = tinyEncoder();
    const pass = new ForwardPass(backend, { training: false });
    expect(() => pass.scope(() => encoder.forward(pass, padded))).toThrow(
      "a span loss counts padding: the Encoder needs `padding`, with head.paddedQueries",
    );
  });

  test("fill the holes of a mask first", () => {
    const holes = { ...batch, positions: Int32Array.of(0, 2, 3, 5, 1, 0, 1, 2) };
    const subject = tinyEncoder({ padding: { queries: "uniform", token } });
    const ids: number[] = [];
    const spied = new Encoder({
      embeddings: {
        forward: (pass, tokens) => {
          ids.push(...tokens.positions);
          return pass.scope(() =>
            new Embeddings({
              tables: [words(subject.tree.parameters.get("words.weight")!)],
              dropout: 0,
            }).forward(pass, tokens),
          );
        },
      },
      layers: [],
      padding: { queries: "uniform", token },
    });
    valuesOf(subject, (pass) => spied.forward(pass, { ...holes, padding: Int32Array.of(2, 1, 1) }));
    expect(ids).toEqual([0, 2, 3, 5, 1, 0, 1, 2, 1, 4, 0, 3]);
  });
});
