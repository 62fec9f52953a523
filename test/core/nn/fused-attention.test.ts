import { expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { Encoder } from "../../../core/nn/encoder.ts";
import type { EncoderLayer } from "../../../core/nn/encoder-layer.ts";
import { FusedAttention } from "../../../core/nn/fused-attention.ts";
import { ModuleScope } from "../../../core/nn/module-scope.ts";
import { packSequences } from "../../../core/nn/packed-batch.ts";
import { uploadRotary } from "../../../core/nn/rotary.ts";
import { type Attention, SelfAttention } from "../../../core/nn/self-attention.ts";
import type { RotaryTables } from "../../../core/kernels/rotary.ts";
import type { Parameter } from "../../../core/tensor.ts";
import { tensor } from "../../helpers/tensors.ts";
import { masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const backend = createReferenceBackend();
const [WIDTH, HEADS] = [8, 2];
const batch = packSequences([7, 1, 3].map((n) => Array.from({ length: n }, (_, i) => i)));
const ROTARY = { theta: 50, rotated: WIDTH / HEADS };

const set = (parameter: Parameter | undefined, values: Float64Array) => {
  if (parameter) parameter.buffer = masters(backend, values);
};

/** Attention with one layer for the three projections, or with three, which have its values. */
function attentionOf(isFused: boolean, window: number | undefined): Attention<RotaryTables> {
  const scope = ModuleScope.root();
  const linear = (name: string, outputs: number) => scope.linear(name, WIDTH, outputs, 1);
  const output = linear("output", WIDTH);
  set(output.weight, wave(WIDTH * WIDTH, 1));
  set(output.bias, wave(WIDTH, 2));
  const [weight, bias] = [wave(3 * WIDTH * WIDTH, 3), wave(3 * WIDTH, 4)];
  const common = { output, heads: HEADS, window, dropout: 0 };
  if (isFused) {
    const qkv = linear("qkv", 3 * WIDTH);
    set(qkv.weight, weight);
    set(qkv.bias, bias);
    return new FusedAttention<RotaryTables>({ ...common, qkv, rotation: (tables) => tables });
  }
  const third = (name: string, i: number) => {
    const layer = linear(name, WIDTH);
    const size = WIDTH * WIDTH;
    set(layer.weight, weight.slice(i * size, (i + 1) * size));
    set(layer.bias, bias.slice(i * WIDTH, (i + 1) * WIDTH));
    return layer;
  };
  return new SelfAttention<RotaryTables>({
    ...common,
    query: third("query", 0),
    key: third("key", 1),
    value: third("value", 2),
    rotary: (tables) => tables,
  });
}

type Rows = "all" | "firsts" | "padding";

/** The attention's results for a batch's rows, by way of an encoder that has no other layer. */
function results(isFused: boolean, window: number | undefined, rows: Rows): number[] {
  const attention = attentionOf(isFused, window);
  const layer: EncoderLayer<RotaryTables> = {
    forward: (pass, x, own) => attention.forward(pass, own.firsts ? firstsOf(pass, x) : x, x, own),
  };
  const encoder = new Encoder<RotaryTables>({
    embeddings: { forward: (_pass, { ids }) => tensor(backend, [ids.length, WIDTH], 5) },
    layers: [layer],
    share(pass, { positions }) {
      const value = uploadRotary(pass, positions, ROTARY);
      return { value, buffers: [value.cos, value.sin] };
    },
    padding: { queries: "uniform", token: { id: 0 } },
  });
  const firstsOf = (_pass: ForwardPass, x: ReturnType<typeof tensor>) => {
    const values = backend.download(x.buffer);
    const starts = Array.from(batch.offsets.subarray(0, -1));
    const own = starts.flatMap((row) => [...values.subarray(row * WIDTH, (row + 1) * WIDTH)]);
    return tensor(backend, [starts.length, WIDTH], 0, own);
  };
  const pass = new ForwardPass(backend, { training: false });
  let values: number[] = [];
  pass.scope(() => {
    const padded = { ...batch, padding: Int32Array.of(0, 6, 4) };
    const x =
      rows === "firsts"
        ? encoder.firstRows(pass, batch)
        : encoder.forward(pass, rows === "padding" ? padded : batch);
    values = Array.from(backend.download(x.buffer));
  });
  return values;
}

test.each([
  ["all", undefined, 11],
  ["all", 1, 11],
  ["firsts", undefined, 3],
  ["firsts", 1, 3],
  ["padding", undefined, 21],
  ["padding", 2, 21],
] as const)(
  "one product of the projections gives what three do: %s rows, window %p",
  (rows, window, count) => {
    const [got, want] = [results(true, window, rows), results(false, window, rows)];
    expect(got).toHaveLength(count * WIDTH);
    expect(want).toHaveLength(count * WIDTH);
    got.forEach((x, i) => expect(x).toBeCloseTo(want[i]!, 12));
  },
);

test("first tokens alone get what they get among all, also within a window", () => {
  for (const window of [undefined, 0, 2]) {
    const all = results(true, window, "all");
    const firsts = Array.from(batch.offsets.subarray(0, -1));
    const expected = firsts.flatMap((row) => all.slice(row * WIDTH, (row + 1) * WIDTH));
    results(true, window, "firsts").forEach((x, i) => expect(x).toBeCloseTo(expected[i]!, 12));
  }
});
