import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { crossEntropy, meanSquaredError } from "../../../core/ops/losses.ts";
import { Run } from "../../../core/run.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { integers, masters } from "../../helpers/upload.ts";

const backend = createReferenceBackend();

function valueOf(build: (run: Run) => Tensor): number {
  let value = NaN;
  const run = new Run(backend, { training: false });
  run.scope(() => {
    value = backend.download(build(run).buffer)[0] ?? NaN;
  });
  return value;
}

describe("crossEntropy", () => {
  test("gradients equal central differences", () =>
    gradcheck("crossEntropy", {
      inputs: { logits: [4, 3] },
      build: (run, { logits }) =>
        crossEntropy(run, [logits], { labels: run.integers([2, 0, 0, 1]) }),
    }));

  test("a value by hand", () => {
    const logits = tensor(backend, [2, 2], 0, [0, Math.log(3), 5, 5]);
    const loss = valueOf((run) =>
      crossEntropy(run, [logits], { labels: integers(backend, [1, 0]) }),
    );
    expect(loss).toBeCloseTo((Math.log(4 / 3) + Math.log(2)) / 2, 14);
  });

  test("logits of thousands do not overflow", () => {
    const logits = tensor(backend, [1, 2], 0, [4000, 3990]);
    const loss = valueOf((run) => crossEntropy(run, [logits], { labels: integers(backend, [1]) }));
    expect(loss).toBeCloseTo(10 + Math.log1p(Math.exp(-10)), 12);
  });

  test("a missing label is named", () => {
    const logits = tensor(backend, [3, 2], 0);
    expect(() =>
      valueOf((run) => crossEntropy(run, [logits], { labels: integers(backend, [1, 0]) })),
    ).toThrow(
      "[crossEntropy] one label is due for each row of logits: got logits [3, 2], labels [2]",
    );
  });
});

describe("meanSquaredError", () => {
  const target = masters(backend, [0.5, 4.2, -1]);

  test("gradients equal central differences", () =>
    gradcheck("meanSquaredError", {
      inputs: { prediction: [3, 1] },
      build(run, { prediction }) {
        const due = run.allocateMaster(3);
        run.backend.upload(due, [0.5, 4.2, -1]);
        return meanSquaredError(run, [prediction], { target: due });
      },
    }));

  test("a value by hand", () => {
    const prediction = tensor(backend, [3, 1], 0, [1, 4.2, 1]);
    const loss = valueOf((run) => meanSquaredError(run, [prediction], { target }));
    expect(loss).toBeCloseTo((0.25 + 0 + 4) / 3, 14);
  });

  test("more than one score a row is named", () => {
    const prediction = tensor(backend, [3, 2], 0);
    expect(() => valueOf((run) => meanSquaredError(run, [prediction], { target }))).toThrow(
      "[meanSquaredError] prediction must be [B, 1] for a target of [B]: got prediction [3, 2], target [3]",
    );
  });
});
