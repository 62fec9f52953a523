import { describe, expect, test } from "bun:test";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { type AdamWOptions, adamwStep } from "../../../core/optim/adamw.ts";
import { ParameterArena } from "../../../core/optim/parameter-arena.ts";
import { Parameter } from "../../../core/tensor.ts";
import { masters } from "../../helpers/upload.ts";

const options = { beta1: 0.8, beta2: 0.95, eps: 0.01, weightDecay: 0.2 };
const gradients = [
  [0.5, -1, 0],
  [-2, 0.25, 3],
  [1, 1, -1],
];

/** Values after each of three updates of [1, -2, 0.5]. */
function trajectory(name: string, variant: AdamWOptions["variant"]): number[][] {
  const backend = createReferenceBackend();
  const parameter = new Parameter(name, [3, 1]);
  parameter.buffer = masters(backend, [1, -2, 0.5]);
  const arena = new ParameterArena(backend, [], [parameter]);
  return gradients.map((gradient, i) => {
    backend.upload(arena.gradients, gradient);
    adamwStep(backend, arena, { ...options, variant }, { lr: 0.1, t: i + 1 });
    return Array.from(backend.download(parameter.buffer));
  });
}

const close = (got: readonly number[][], want: readonly number[][]) =>
  got.flat().forEach((x, i) => expect(x).toBeCloseTo(want.flat()[i] ?? NaN, 15));

describe("adamw", () => {
  test("follows torch's AdamW", () =>
    close(trajectory("dense.weight", "adamw"), [
      [0.8819607843137255, -1.8609900990099009, 0.49],
      [0.924214253236298, -1.781946412028981, 0.4029803266639169],
      [0.9143107397217365, -1.773651980607738, 0.36373309692901745],
    ]));

  test("the older transformers' variant: eps before bias correction, decay after the update", () =>
    close(trajectory("dense.weight", "adamw-hf"), [
      [0.890045752491733, -1.866195083402705, 0.49],
      [0.9300813337324794, -1.7890833103264152, 0.40528917551152543],
      [0.9197865047570865, -1.779583244298892, 0.36689085978390884],
    ]));

  test("importance follows the values at the arena's start, and changes no update", () => {
    const update = (observed: number) => {
      const backend = createReferenceBackend();
      const [e, weight, bias] = ["m.lora_E", "dense.weight", "dense.bias"].map((name, i) => {
        const parameter = new Parameter(name, [2, 1]);
        parameter.buffer = masters(backend, [i + 1, -0.5]);
        return parameter;
      });
      const arena = new ParameterArena(backend, [e!], [weight!, bias!]);
      backend.upload(arena.gradients, [0.5, -1, 2, 0.25, -3, 1]);
      const of = () => masters(backend, new Float64Array(observed).fill(1));
      const importance = { sensitivity: of(), uncertainty: of(), beta1: 0.5, beta2: 0.25 };
      const step = { lr: 0.1, t: 3 };
      adamwStep(backend, arena, { ...options, variant: "adamw" }, step, importance);
      const values = [arena.values, arena.firstMoments, arena.secondMoments];
      return [...values, ...Object.values(importance).slice(0, 2)].map((b) =>
        typeof b === "number" ? [] : Array.from(backend.download(b)),
      );
    };
    const [values, first, second, sensitivity, uncertainty] = update(3);
    expect([values, first, second]).toEqual(update(0).slice(0, 3));
    const now = [0.5, -1, 2].map((gradient, i) => Math.abs(gradient * values![i]!));
    const smooth = now.map((x) => 0.5 + 0.5 * x);
    expect(sensitivity).toEqual(smooth);
    expect(uncertainty).toEqual(now.map((x, i) => 0.25 + 0.75 * Math.abs(x - smooth[i]!)));
    expect(() => update(5)).toThrow("values without weight decay have no importance");
  });

  test("E follows its own rate, with the importance that a common rate gives", () => {
    const update = (rates: { lr: number; lrE?: number }) => {
      const backend = createReferenceBackend();
      const [e, weight, bias] = ["m.lora_E", "m.lora_A", "dense.bias"].map((name, i) => {
        const parameter = new Parameter(name, [2, 1]);
        parameter.buffer = masters(backend, [i + 1, -0.5]);
        return parameter;
      });
      const arena = new ParameterArena(backend, [e!], [weight!, bias!]);
      const of = () => masters(backend, new Float64Array(4).fill(1));
      const importance = { sensitivity: of(), uncertainty: of(), beta1: 0.5, beta2: 0.25 };
      for (let t = 1; t <= 3; t++) {
        backend.upload(arena.gradients, [0.5, -1, 2, 0.25, -3, t]);
        adamwStep(backend, arena, { ...options, variant: "adamw" }, { ...rates, t }, importance);
      }
      const [values, ...rest] = [arena.values, importance.sensitivity, importance.uncertainty].map(
        (buffer) => Array.from(backend.download(buffer)),
      );
      return { e: values!.slice(0, 2), others: values!.slice(2), averages: rest };
    };
    const [own, slow, fast] = [
      update({ lr: 0.1, lrE: 0.7 }),
      update({ lr: 0.1 }),
      update({ lr: 0.7 }),
    ];
    expect([own.e, own.others]).toEqual([fast.e, slow.others]);
    const averages = (of: typeof own) => of.averages.map((one) => [one.slice(0, 2), one.slice(2)]);
    for (const [i, [ofE, ofOthers]] of averages(own).entries()) {
      expect([ofE, ofOthers]).toEqual([averages(fast)[i]![0], averages(slow)[i]![1]]);
    }
    expect(update({ lr: 0.1, lrE: 0.1 })).toEqual(slow);
  });

  test("a bias has no decay: a value without gradient stays", () => {
    for (const variant of ["adamw", "adamw-hf"] as const) {
      expect(trajectory("dense.bias", variant)[0]?.[2]).toBe(0.5);
      expect(trajectory("dense.weight", variant)[0]?.[2]).toBeCloseTo(0.5 * (1 - 0.1 * 0.2), 15);
    }
  });
});
