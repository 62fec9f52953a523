import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { nn } from "../../../core/kit/kit.ts";
import { ModuleScope } from "../../../core/nn/module-scope.ts";

/** What a plugin passes for an argument that it forgot: its types are not checked when it is loaded. */
// oxlint-disable-next-line typescript/no-explicit-any -- stands for an argument of any type
const forgotten: any = undefined;

const scope = () => ModuleScope.root().child("m");
const linear = (name: string, from: number, to: number) => scope().linear(name, from, to, 0.1);
const pass = () => new ForwardPass(createReferenceBackend(), { training: false });
const attention = (keys: number) =>
  new nn.SelfAttention({
    query: linear("q", 16, 16),
    key: linear("k", 16, keys),
    value: linear("v", 16, keys),
    output: linear("o", 16, 16),
    heads: 2,
    dropout: 0,
  });

const mistakes: readonly (readonly [string, () => unknown, string])[] = [
  [
    "the std of a linear layer",
    () => scope().linear("a", 2, 2, forgotten),
    'parameter m.a.weight: its fill must be "zeros", "ones" or { normal: std }, got {"normal":undefined}',
  ],
  [
    "the std of a table",
    () => scope().table("a", 2, 2, forgotten),
    "parameter m.a.weight: its fill must be",
  ],
  [
    "the fill of a parameter",
    () => scope().parameter("a", [2], forgotten),
    "parameter m.a: its fill must be",
  ],
  [
    "the eps of a LayerNorm",
    () => scope().layerNorm("a", 2, forgotten),
    "m.a: the eps of a norm must be above 0, got undefined",
  ],
  [
    "the eps of an RMSNorm",
    () => scope().rmsNorm("a", 2, forgotten),
    "m.a: the eps of a norm must be above 0, got undefined",
  ],
  [
    "a dropout probability, in evaluation too",
    () => pass().nextDropout(forgotten),
    "a dropout probability must be from 0 to below 1, got undefined",
  ],
  [
    "a dropout probability that leaves something",
    () => pass().nextDropout(1),
    "a dropout probability must be from 0 to below 1, got 1",
  ],
  [
    "the activation of a feed-forward block",
    () => new nn.Mlp({ up: linear("u", 2, 4), down: linear("d", 4, 2), activation: forgotten }),
    'no activation is called "undefined"',
  ],
  [
    "the base of rotary frequencies",
    () => nn.uploadRotary(pass(), [0, 1], { theta: forgotten, rotated: 2 }),
    "a rotary theta must be above 0, got undefined",
  ],
  [
    "the layer of a head's activation",
    () =>
      new nn.PooledHead({
        encoder: new nn.Encoder({
          embeddings: new nn.Embeddings({ tables: [], dropout: 0 }),
          layers: [],
        }),
        activation: "tanh",
        output: linear("o", 2, 2),
        dropout: { output: 0 },
      }),
    'a head with the activation "tanh" needs `dense`',
  ],
  [
    "keys of half a head",
    () => attention(4),
    "m.k must have heads of 8 features, a number that divides 2: got 4 features",
  ],
  [
    "keys of one and a half heads",
    () => attention(12),
    "m.k must have heads of 8 features, a number that divides 2: got 12 features",
  ],
];

test.each(mistakes)("is missed where it is declared: %s", (_, declare, message) =>
  expect(declare).toThrow(message),
);

test("one key head for all queries is right", () => expect(() => attention(8)).not.toThrow());
