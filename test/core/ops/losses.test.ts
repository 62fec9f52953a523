import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { crossEntropy, meanSquaredError, spanLoss } from "../../../core/ops/losses.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { tensor } from "../../helpers/tensors.ts";
import { integers, masters } from "../../helpers/upload.ts";

const backend = createReferenceBackend();

function valueOf(build: (pass: ForwardPass) => Tensor): number {
  let value = NaN;
  const pass = new ForwardPass(backend, { training: false });
  pass.scope(() => {
    value = backend.download(build(pass).buffer)[0] ?? NaN;
  });
  return value;
}

describe("crossEntropy", () => {
  test("gradients equal central differences", () =>
    gradcheck("crossEntropy", {
      inputs: { logits: [4, 3] },
      build: (pass, inputs) => crossEntropy(pass, inputs, { labels: pass.integers([2, 0, 0, 1]) }),
    }));

  test("a value by hand", () => {
    const logits = tensor(backend, [2, 2], 0, [0, Math.log(3), 5, 5]);
    const loss = valueOf((pass) =>
      crossEntropy(pass, { logits }, { labels: integers(backend, [1, 0]) }),
    );
    expect(loss).toBeCloseTo((Math.log(4 / 3) + Math.log(2)) / 2, 14);
  });

  test("large logits do not overflow", () => {
    const logits = tensor(backend, [1, 2], 0, [4000, 3990]);
    const loss = valueOf((pass) =>
      crossEntropy(pass, { logits }, { labels: integers(backend, [1]) }),
    );
    expect(loss).toBeCloseTo(10 + Math.log1p(Math.exp(-10)), 12);
  });

  test("a missing label is named", () => {
    const logits = tensor(backend, [3, 2], 0);
    expect(() =>
      valueOf((pass) => crossEntropy(pass, { logits }, { labels: integers(backend, [1, 0]) })),
    ).toThrow("[crossEntropy] each row of logits needs one label: got logits [3, 2], labels [2]");
  });
});

describe("meanSquaredError", () => {
  const target = masters(backend, [0.5, 4.2, -1]);

  test("gradients equal central differences", () =>
    gradcheck("meanSquaredError", {
      inputs: { prediction: [3, 1] },
      build(pass, { prediction }) {
        const expected = pass.allocateMaster(3);
        pass.backend.upload(expected, [0.5, 4.2, -1]);
        return meanSquaredError(pass, { prediction }, { target: expected });
      },
    }));

  test("a value by hand", () => {
    const prediction = tensor(backend, [3, 1], 0, [1, 4.2, 1]);
    const loss = valueOf((pass) => meanSquaredError(pass, { prediction }, { target }));
    expect(loss).toBeCloseTo((0.25 + 0 + 4) / 3, 14);
  });

  test("more than one score per row is named", () => {
    const prediction = tensor(backend, [3, 2], 0);
    expect(() => valueOf((pass) => meanSquaredError(pass, { prediction }, { target }))).toThrow(
      "[meanSquaredError] prediction must be [B, 1] for a target of [B]: got prediction [3, 2], target [3]",
    );
  });
});

describe("spanLoss", () => {
  // sequences of 3, 1 and 2 rows; rows 6 and 7 stand for 4 and 2 padded positions of
  // the first and last
  const offsets = [0, 3, 4, 6];
  const padding = [6, -1, 7, 4, 0, 2];
  const shapeOf = (pass: ForwardPass) => ({
    sequences: 3,
    rows: 8,
    offsets: pass.integers(offsets),
    padding: pass.integers(padding),
  });

  const targets: [what: string, numbers: readonly number[]][] = [
    ["in every sequence", [0, 3, 5, 2, 3, 4]],
    ["in the padding", [6, 3, 7, 2, 3, 7]],
    ["left out in one sequence", [-1, 3, 5, 2, -1, 4]],
  ];
  for (const [what, values] of targets)
    test(`gradients equal central differences, targets ${what}`, () =>
      gradcheck("spanLoss", {
        inputs: { logits: [8, 2] },
        build: (pass, inputs) =>
          spanLoss(pass, inputs, { targets: pass.integers(values), shape: shapeOf(pass) }),
      }));

  test("a padding row counts once per padded position: by hand", () => {
    const logits = tensor(backend, [2, 2], 0, [1, 0, 2, 0]); // one token and its padding, three times
    const loss = valueOf((pass) =>
      spanLoss(
        pass,
        { logits },
        {
          targets: pass.integers([0, 0]),
          shape: {
            sequences: 1,
            rows: 2,
            offsets: pass.integers([0, 1]),
            padding: pass.integers([1, 3]),
          },
        },
      ),
    );
    const start = Math.log(Math.E + 3 * Math.E ** 2) - 1;
    expect(loss).toBeCloseTo((start + Math.log(4)) / 2, 14);
  });

  test("with every sequence left out it is NaN, as torch's mean of nothing", () => {
    const logits = tensor(backend, [8, 2], 0);
    const loss = valueOf((pass) =>
      spanLoss(
        pass,
        { logits },
        { targets: pass.integers([-1, -1, -1, 0, 3, 4]), shape: shapeOf(pass) },
      ),
    );
    expect(loss).toBeNaN();
  });

  test("a wrong number of rows is named", () => {
    const logits = tensor(backend, [6, 2], 0);
    expect(() =>
      valueOf((pass) =>
        spanLoss(
          pass,
          { logits },
          { targets: pass.integers([0, 3, 5, 2, 3, 4]), shape: shapeOf(pass) },
        ),
      ),
    ).toThrow("[spanLoss] logits must be [8, 2]: got logits [6, 2]");
  });
});
