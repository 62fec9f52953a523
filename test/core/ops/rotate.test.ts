import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { ForwardPass } from "../../../core/forward-pass.ts";
import { uploadRotary } from "../../../core/nn/rotary.ts";
import { rotate } from "../../../core/ops/rotate.ts";
import type { Tensor } from "../../../core/tensor.ts";
import { gradcheck } from "../../helpers/gradcheck.ts";
import { fresh } from "../../helpers/ops.ts";
import { tensor } from "../../helpers/tensors.ts";
import { wave } from "../../helpers/wave.ts";

interface Heads {
  readonly heads: number;
  readonly headDim: number;
  readonly rotated: number;
}

const POSITIONS = [0, 2, 1, 9];

function rotateBy(pass: ForwardPass, x: Tensor, { rotated, ...shape }: Heads): Tensor {
  const tables = uploadRotary(pass, POSITIONS, { theta: 100, rotated });
  return rotate(pass, { x }, { tables, positions: pass.integers(POSITIONS), ...shape });
}

describe("rotate: gradients equal central differences", () => {
  const cases: readonly (readonly [string, number, Heads])[] = [
    ["all columns", 8, { heads: 2, headDim: 4, rotated: 4 }],
    ["a part of each head", 12, { heads: 2, headDim: 6, rotated: 4 }],
    ["the first heads of a wider matrix", 11, { heads: 2, headDim: 4, rotated: 4 }],
  ];
  for (const [note, width, heads] of cases)
    test(note, () =>
      gradcheck("rotate", {
        inputs: { x: [4, width] },
        overwrites: ["x"],
        build: (pass, { x }) => rotateBy(pass, x, heads),
      }),
    );

  test("its input feeds another op, before and after", () =>
    gradcheck("rotate", {
      inputs: { x: [4, 4] },
      build(pass, { x }) {
        const heads = { heads: 1, headDim: 4, rotated: 4 };
        return rotateBy(
          pass,
          fresh(pass, { x: rotateBy(pass, fresh(pass, { x }, {}), heads) }, {}),
          heads,
        );
      },
    }));
});

describe("rotate: values", () => {
  const backend = createReferenceBackend();
  const rotated = (values: ArrayLike<number>, width: number, heads: Heads) => {
    let out: number[] = [];
    const pass = new ForwardPass(backend, { training: false });
    pass.scope(() => {
      const x = fresh(pass, { x: tensor(backend, [4, width], 0, values) }, {});
      out = Array.from(backend.download(rotateBy(pass, x, heads).buffer));
    });
    return out;
  };

  test("by hand: pairs half a head apart turn by the position's angle", () => {
    const x = wave(16, 1);
    const got = rotated(x, 4, { heads: 1, headDim: 4, rotated: 4 });
    POSITIONS.forEach((position, r) => {
      [1, 0.1].forEach((frequency, i) => {
        const angle = Math.fround(position * Math.fround(frequency));
        const [a, b] = [x[4 * r + i]!, x[4 * r + i + 2]!];
        expect(got[4 * r + i]).toBeCloseTo(a * Math.cos(angle) - b * Math.sin(angle), 14);
        expect(got[4 * r + i + 2]).toBeCloseTo(b * Math.cos(angle) + a * Math.sin(angle), 14);
      });
    });
  });

  test("products of rotated rows depend on the difference of positions alone", () => {
    const heads = { heads: 1, headDim: 4, rotated: 4 };
    const row = [0.3, -0.7, 1.1, 0.2];
    const got = rotated([...row, ...row, ...row, ...row], 4, heads);
    const dot = (r: number, s: number) =>
      row.reduce((sum, _, i) => sum + got[4 * r + i]! * got[4 * s + i]!, 0);
    expect(dot(0, 2)).toBeCloseTo(dot(2, 1), 7); // 0 and 1, 1 and 2
    expect(Math.abs(dot(0, 2) - dot(0, 1))).toBeGreaterThan(1e-3);
  });

  test("other columns are unchanged", () => {
    const x = wave(4 * 13, 2);
    const got = rotated(x, 13, { heads: 2, headDim: 6, rotated: 4 });
    for (let r = 0; r < 4; r++)
      for (const c of [4, 5, 10, 11, 12]) expect(got[13 * r + c]).toBe(x[13 * r + c]);
  });

  test("a matrix that is too narrow is named", () =>
    expect(() => rotated(wave(12, 0), 3, { heads: 1, headDim: 4, rotated: 4 })).toThrow(
      "[rotate] x must be [N, W] with W >= 4, 4 rotated columns a head: got x [4, 3]",
    ));
});
