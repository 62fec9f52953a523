import { describe, expect, test } from "bun:test";
import type { Backend } from "../../../core/backend.ts";
import { ignoredLabel } from "../../../core/kernels/losses.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { vocabularyLoss } from "../../../core/ops/vocabulary-loss.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { Parameter, type Tensor } from "../../../core/tensor.ts";
import { createCpuBackend } from "../../../ffi/cpu/backend.ts";
import { available } from "../../helpers/available.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { masters } from "../../helpers/upload.ts";
import { wave } from "../../helpers/wave.ts";

const IGNORED = ignoredLabel;
const reference = createReferenceBackend();

function biasOf(pass: ForwardPass, classes: number): Tensor {
  const buffer = pass.allocateMaster(classes);
  pass.backend.upload(buffer, wave(classes, 5));
  return { shape: [classes], buffer, requiresGrad: false };
}

function valueOf(
  hidden: Tensor,
  weight: Tensor,
  bias: Tensor,
  labels: number[],
  smoothing: number,
) {
  let value = Number.NaN;
  const pass = new ForwardPass(reference, { training: false });
  pass.scope(() => {
    const attrs = { bias, labels: Int32Array.from(labels), smoothing };
    const loss = vocabularyLoss(pass, { hidden, weight }, attrs);
    value = reference.download(loss.buffer)[0] ?? Number.NaN;
  });
  return value;
}

describe("vocabularyLoss", () => {
  for (const smoothing of [0, 0.1])
    test(`gradients equal central differences, a label left out in the middle, smoothing ${smoothing}`, () =>
      gradcheck("vocabularyLoss", {
        inputs: { hidden: [4, 3], weight: [5, 3] },
        build: (pass, inputs) =>
          vocabularyLoss(pass, inputs, {
            bias: biasOf(pass, 5),
            labels: Int32Array.of(2, IGNORED, 0, 4),
            smoothing,
          }),
      }));

  test("a value by hand, without and with smoothing", () => {
    const hidden = tensor(reference, [3, 1], 0, [1, 50, 0]);
    const weight = tensor(reference, [2, 1], 0, [0, 1]);
    const bias = tensor(reference, [2], 0, [0, Math.log(3) - 1]); // logits 0, log 3; then 0, log 3 - 1
    const nll = (logit: number, label: number) => Math.log(1 + Math.exp(logit)) - label * logit;
    const [a, b] = [Math.log(3), Math.log(3) - 1];
    const plain = (nll(a, 1) + nll(b, 0)) / 2;
    expect(valueOf(hidden, weight, bias, [1, IGNORED, 0], 0)).toBeCloseTo(plain, 14);
    const even = (nll(a, 0) + nll(a, 1) + nll(b, 0) + nll(b, 1)) / 4;
    expect(valueOf(hidden, weight, bias, [1, IGNORED, 0], 0.2)).toBeCloseTo(
      0.8 * plain + 0.2 * even,
      14,
    );
  });

  test("is NaN if no row counts, as in torch", () => {
    const [hidden, weight] = [tensor(reference, [2, 1], 0), tensor(reference, [3, 1], 1)];
    const bias = tensor(reference, [3], 2);
    expect(valueOf(hidden, weight, bias, [IGNORED, IGNORED], 0)).toBeNaN();
  });

  const refused = (bias: readonly number[], labels: number[]) => () =>
    valueOf(
      tensor(reference, [2, 3], 0),
      tensor(reference, [4, 3], 1),
      tensor(reference, bias, 2),
      labels,
      0,
    );

  test("mismatched shapes are named", () => {
    expect(refused([3], [0, 1])).toThrow(
      "[vocabularyLoss] bias must be [V]: got weight [4, 3], bias [3]",
    );
    expect(refused([4], [0])).toThrow(
      "[vocabularyLoss] each row needs one label: got hidden [2, 3], labels [1]",
    );
  });
});

const cpu = await available(() => createCpuBackend({ threads: 2 }));

describe.skipIf(!cpu.backend)("vocabularyLoss of a whole vocabulary (cpu)", () => {
  const [ROWS, WIDTH, CLASSES] = [700, 8, 50_265];

  /** Computes loss and gradients of some rows. */
  function evaluate(backend: Backend, from: number, to: number) {
    const parameter = (name: string, shape: readonly number[], values: Float64Array) => {
      const made = new Parameter(name, shape);
      made.buffer = masters(backend, values);
      made.grad = masters(backend, new Float64Array(values.length));
      made.requiresGrad = true;
      return made;
    };
    const part = (row: number) => row * WIDTH;
    const hidden = parameter(
      "hidden",
      [to - from, WIDTH],
      wave(part(ROWS), 1).slice(part(from), part(to)),
    );
    const weight = parameter("weight", [CLASSES, WIDTH], wave(part(CLASSES), 2));
    const labels = Int32Array.from({ length: ROWS }, (_, r) =>
      r % 7 === 3 ? IGNORED : (r * 71) % CLASSES,
    ).slice(from, to);
    let [loss, peak] = [Number.NaN, 0];
    const live = backend.memory().live;
    const pass = new ForwardPass(backend, { training: true });
    pass.scope(() => {
      const bias = {
        shape: [CLASSES],
        buffer: masters(backend, wave(CLASSES, 3)),
        requiresGrad: false,
      };
      const out = vocabularyLoss(pass, { hidden, weight }, { bias, labels, smoothing: 0.1 });
      loss = backend.download(out.buffer)[0] ?? Number.NaN;
      pass.tape.backward(out, 1);
      peak = backend.memory().peak - live;
    });
    const gradient = ({ grad }: Parameter) => (grad ? backend.download(grad) : []);
    const counted = labels.filter((label) => label !== IGNORED).length;
    return { loss, counted, hidden: gradient(hidden), weight: gradient(weight), peak };
  }

  test("chunks of rows give the same result as one chunk, in little memory", () => {
    const { backend } = cpu;
    if (!backend) return;
    const whole = evaluate(backend, 0, ROWS); // 333 + 333 + 34 rows
    const parts = [0, 1, 2, 3].map((i) => evaluate(backend, i * 175, (i + 1) * 175));
    const share = ({ counted }: { counted: number }) => counted / whole.counted;
    const mean = parts.reduce((sum, part) => sum + part.loss * share(part), 0);
    expect(whole.loss).toBeCloseTo(mean, 5);
    const hidden = parts.flatMap((part) => Array.from(part.hidden, (x) => x * share(part)));
    hidden.forEach((x, i) => expect(Math.abs(x - (whole.hidden[i] ?? NaN))).toBeLessThan(1e-8));
    const worst = Array.from(whole.weight).reduce((error, x, i) => {
      const expected = parts.reduce((sum, part) => sum + (part.weight[i] ?? NaN) * share(part), 0);
      return Math.max(error, Math.abs(x - expected));
    }, 0);
    expect(worst).toBeLessThan(1e-8);
    expect(whole.peak).toBeLessThan(0.65 * ROWS * CLASSES * 4); // all logits at once are 140 MB
  });
});
