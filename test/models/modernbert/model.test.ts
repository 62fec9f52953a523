import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { nameInLayer, selectLinears } from "../../../core/model/select-linears.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { tinyModernBert } from "../../helpers/tiny-modernbert.ts";

const backend = createReferenceBackend();
/** Sequences around the window of 2 tokens on each side. */
const sequences = [13, 1, 2, 3, 7].map((n) =>
  Array.from({ length: n }, (_, i) => 1 + ((5 * i + n) % 22)),
);

function logits(config: object, texts: readonly number[][], observed = false): number[] {
  const { model } = tinyModernBert(backend, { config });
  let values: number[] = [];
  const observe = observed ? { observe: () => {} } : {};
  const pass = new ForwardPass(backend, { training: false, ...observe });
  pass.scope(() => {
    values = Array.from(backend.download(model.forward(pass, packSequences(texts)).buffer));
  });
  return values;
}

const close = (got: readonly number[], want: readonly number[]) => {
  expect(got).toHaveLength(want.length);
  got.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 12));
};

test.each([
  ["full", ["full_attention", "sliding_attention", "full_attention"]],
  ["windowed", ["full_attention", "full_attention", "sliding_attention"]],
])("a %s last layer computes the same for first tokens alone as for all", (_, layer_types) => {
  close(logits({ layer_types }, sequences), logits({ layer_types }, sequences, true));
});

test.each(["cls", "mean"])("a sequence does not depend on its batch: %s", (classifier_pooling) => {
  const together = logits({ classifier_pooling }, sequences);
  close(
    sequences.flatMap((one) => logits({ classifier_pooling }, [one])),
    together,
  );
});

test("a window hides tokens that only a full layer sees", () => {
  const changed = sequences.map((ids) => [...ids.slice(0, -1), 23]);
  const windows = { num_hidden_layers: 1, layer_types: ["sliding_attention"] };
  const [before, after] = [logits(windows, sequences), logits(windows, changed)];
  const differs = sequences.map((_, b) => before[2 * b] !== after[2 * b]);
  expect(differs).toEqual([false, true, true, true, false]);
  const full = { num_hidden_layers: 1, layer_types: ["full_attention"] };
  expect(logits(full, sequences)[0]).not.toBe(logits(full, changed)[0]);
});

test("the six matrices of a layer have names of their own, three of them in one product", () => {
  const { tree, plugin } = tinyModernBert(backend);
  const paths = selectLinears(tree, plugin).map(({ path }) => path);
  expect(paths.filter((path) => path.includes(".0."))).toEqual([
    "model.layers.0.attn.Wqkv.query",
    "model.layers.0.attn.Wqkv.key",
    "model.layers.0.attn.Wqkv.value",
    "model.layers.0.attn.Wo",
    "model.layers.0.mlp.Wi",
    "model.layers.0.mlp.Wo",
  ]);
  expect(paths).toHaveLength(18);
  expect([...tree.linears.keys()]).toContain("model.layers.0.attn.Wqkv");
  // An adapter that PEFT trained covers the product as a whole.
  const names = [...paths.slice(0, 6), "model.layers.0.attn.Wqkv"].map((path) =>
    nameInLayer(path, plugin),
  );
  expect(names.join(" ")).toBe(
    "query key value attention.output intermediate layer.output attn.Wqkv",
  );
});
