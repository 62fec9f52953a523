/**
 * bun test/bench/windowed-attention.ts [--tokens 8192] [--window 64] [--threads 2] [--repeat 3]
 * Times attention over one sequence, forward and backward, with a window and without, in each dtype that this machine has: the best of
 * `repeat` calls. 12 heads of 64, read from a fused [tokens, 3 * 768] and from separate tensors.
 */
import { parseArgs } from "node:util";
import type { Backend, Buffer } from "../../core/backend.ts";
import type { AttentionShape } from "../../core/kernels/attention.ts";
import { createCpuBackend } from "../../ffi/cpu/backend.ts";
import { bf16Refusal } from "../../ffi/cpu/isa.ts";
import { wave } from "../helpers/wave.ts";

const [HEADS, HEAD_DIM] = [12, 64];
const WIDTH = HEADS * HEAD_DIM;

const text = { type: "string" } as const;
const { values } = parseArgs({
  options: { tokens: text, window: text, threads: text, repeat: text },
});
const number = (value: string | undefined, fallback: number) => Number(value ?? fallback);
const tokens = number(values.tokens, 8192);
const window = number(values.window, 64);
const threads = number(values.threads, 2);
const repeat = number(values.repeat, 3);

/** The shortest of `repeat` calls, in milliseconds. */
function best(call: () => void): number {
  let shortest = Infinity;
  for (let i = 0; i < repeat; i++) {
    const start = performance.now();
    call();
    shortest = Math.min(shortest, performance.now() - start);
  }
  return shortest;
}

function activations(backend: Backend, length: number, phase: number): Buffer {
  const buffer = backend.alloc(backend.activation, length);
  backend.upload(buffer, wave(length, phase));
  return buffer;
}

/** Times of one layout and window. */
function measure(backend: Backend, fused: boolean, limit: number | undefined) {
  const hostOffsets = Int32Array.of(0, tokens);
  const offsets = backend.alloc("i32", 2);
  backend.upload(offsets, hostOffsets);
  const packing = { sequences: 1, tokens, offsets, hostOffsets };
  const rowStride = fused ? 3 * WIDTH : undefined;
  const shape: AttentionShape = {
    queries: packing,
    keys: packing,
    heads: HEADS,
    headDim: HEAD_DIM,
    scale: Math.sqrt(HEAD_DIM),
    causal: false,
    window: limit,
    rowStride,
    dropout: undefined,
  };
  const three = (phase: number) => {
    const whole = fused ? activations(backend, tokens * 3 * WIDTH, phase) : undefined;
    const [q, k, v] = [0, 1, 2].map((i) =>
      whole
        ? backend.view(whole, i * WIDTH, whole.length - i * WIDTH)
        : activations(backend, tokens * WIDTH, phase + i),
    );
    if (!q || !k || !v) throw Error("three buffers");
    return { q, k, v };
  };
  const [inputs, grads] = [three(1), three(4)];
  const [out, dout] = [
    activations(backend, tokens * WIDTH, 7),
    activations(backend, tokens * WIDTH, 8),
  ];
  const logSumExp = backend.alloc(backend.master, HEADS * tokens);
  const forward = best(() => backend.attention(inputs, { out, logSumExp }, shape));
  const backward = best(() =>
    backend.attentionBackward(dout, { ...inputs, out, logSumExp }, grads, shape),
  );
  return { forward, backward };
}

const ms = (time: number) => `${time.toFixed(time < 100 ? 1 : 0)} ms`;
const times = (a: number, b: number) => `${(a / b).toFixed(1)}x`;

for (const dtype of bf16Refusal() === undefined ? (["f32", "bf16"] as const) : (["f32"] as const)) {
  const backend = await createCpuBackend({ threads, dtype });
  const full = measure(backend, false, undefined);
  for (const fused of [false, true]) {
    const windowed = measure(backend, fused, window);
    for (const pass of ["forward", "backward"] as const) {
      const [all, near] = [full[pass], windowed[pass]];
      const layout = fused ? "fused q, k, v" : "separate q, k, v";
      console.log(
        `${dtype} ${pass}, ${layout}: full ${ms(all)}, window ${window} ${ms(near)}, ${times(all, near)} as fast`,
      );
    }
  }
}
