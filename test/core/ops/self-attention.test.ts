import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { Sequences } from "../../../core/kernels/attention.ts";
import type { Dropout } from "../../../core/kernels/elementwise.ts";
import { attention } from "../../../core/ops/attention.ts";
import { selfAttention } from "../../../core/ops/self-attention.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { wave } from "../../helpers/wave.ts";

const DIM = 3;
const OFFSETS = [0, 5, 5, 6, 8];
const ROWS = 8;
const mask: Dropout = { probability: 0.3, seed: [1, 2], step: 3, site: 4 };

const packingOf = (pass: ForwardPass): Sequences => ({
  sequences: OFFSETS.length - 1,
  tokens: ROWS,
  offsets: pass.integers(OFFSETS),
  hostOffsets: Int32Array.from(OFFSETS),
});

interface Variant {
  readonly note: string;
  readonly heads: number;
  readonly keyHeads?: number;
  readonly window?: number;
  readonly dropout?: Dropout;
}

const VARIANTS: readonly Variant[] = [
  { note: "plain", heads: 2 },
  { note: "grouped heads, dropout on", heads: 2, keyHeads: 1, dropout: mask },
  { note: "window, dropout on", heads: 2, window: 1, dropout: mask },
];

function shapeOf({ heads, keyHeads, window, dropout }: Variant) {
  return { heads, keyHeads, headDim: DIM, scale: 1.7, causal: false, window, dropout };
}

const widthOf = ({ heads, keyHeads = heads }: Variant) => (heads + 2 * keyHeads) * DIM;

describe("selfAttention: gradients equal central differences", () => {
  for (const variant of VARIANTS)
    test(variant.note, () =>
      gradcheck("selfAttention", {
        inputs: { qkv: [ROWS, widthOf(variant)] },
        build: (pass, inputs) =>
          selfAttention(pass, inputs, { packing: packingOf(pass), shape: shapeOf(variant) }),
      }),
    );
});

describe("selfAttention equals attention of its columns", () => {
  for (const variant of VARIANTS)
    test(variant.note, () => {
      const backend = createReferenceBackend();
      const pass = new ForwardPass(backend, { training: false });
      const { heads, keyHeads = heads } = variant;
      const width = widthOf(variant);
      const qkv = wave(ROWS * width, 1);
      const columns = (from: number, cols: number): Tensor => {
        const values = Float64Array.from(
          { length: ROWS * cols },
          (_, i) => qkv[Math.floor(i / cols) * width + from + (i % cols)]!,
        );
        return tensor(backend, [ROWS, cols], 0, values);
      };
      pass.scope(() => {
        const [packing, shape] = [packingOf(pass), shapeOf(variant)];
        const whole = { qkv: tensor(backend, [ROWS, width], 0, qkv) };
        const got = selfAttention(pass, whole, { packing, shape });
        const inputs = {
          q: columns(0, heads * DIM),
          k: columns(heads * DIM, keyHeads * DIM),
          v: columns((heads + keyHeads) * DIM, keyHeads * DIM),
        };
        const expected = attention(pass, inputs, {
          shape: { ...shape, queries: packing, keys: packing },
        });
        expect(got.shape).toEqual(expected.shape);
        expect(backend.download(got.buffer)).toEqual(backend.download(expected.buffer));
      });
    });
});

test("selfAttention: a matrix of another width is named", () => {
  const backend = createReferenceBackend();
  const pass = new ForwardPass(backend, { training: false });
  const [variant] = VARIANTS;
  const call = () =>
    pass.scope(() => {
      const qkv = tensor(backend, [ROWS, 17], 0);
      if (variant)
        selfAttention(pass, { qkv }, { packing: packingOf(pass), shape: shapeOf(variant) });
    });
  expect(call).toThrow("[selfAttention] qkv must be [8, 18]: got qkv [8, 17]");
});
