import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { masters } from "../../helpers/upload.ts";

const backend = createReferenceBackend();

function clip(values: readonly number[], maxNorm: number) {
  const [gradient, sum, norm] = [
    masters(backend, values),
    masters(backend, [9]),
    masters(backend, [9]),
  ];
  backend.sumOfSquares(gradient, sum);
  backend.clipByNorm(gradient, sum, maxNorm, norm);
  return {
    norm: backend.download(norm)[0],
    gradient: Array.from(backend.download(gradient)),
  };
}

describe("clipByNorm", () => {
  test("equals torch's clip_grad_norm_, with its 1e-6", () =>
    expect(clip([3, 4], 1)).toEqual({ norm: 5, gradient: [0.599999880000024, 0.799999840000032] }));
  test("a norm below the limit changes nothing", () =>
    expect(clip([3, 4], 5.1)).toEqual({ norm: 5, gradient: [3, 4] }));
  test("a limit of 0 turns it off, and the norm is still reported", () =>
    expect(clip([30, -40], 0)).toEqual({ norm: 50, gradient: [30, -40] }));
  test("gradients of zero stay zero", () =>
    expect(clip([0, 0], 1)).toEqual({ norm: 0, gradient: [0, 0] }));
  test("a NaN is not clipped away: the norm reports it", () =>
    expect(clip([NaN, 1], 1).norm).toBeNaN());
});
