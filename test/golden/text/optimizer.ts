import type { Backend, Buffer } from "../../../core/backend.ts";
import { createReferenceBackend } from "../../../core/backend/reference.ts";
import { adamwStep } from "../../../core/optim/adamw.ts";
import { ParameterArena } from "../../../core/optim/parameter-arena.ts";
import { Parameter } from "../../../core/tensor.ts";
import { goldenText } from "./golden-file.ts";
import { Findings, type FileCheck } from "./verdict.ts";

interface AdamWCase {
  readonly name: string;
  readonly optimizer: string;
  readonly shapes: readonly (readonly number[])[];
  /** Of each parameter: 0, or the run's. */
  readonly weight_decay: readonly number[];
  readonly max_grad_norm: number | null;
  readonly betas: readonly [number, number];
  readonly eps: number;
  readonly correct_bias?: boolean;
  readonly init: readonly (readonly number[])[];
  readonly steps: readonly {
    /** Before clipping; null: the parameter has none and is left alone. */
    readonly grads: readonly (readonly number[] | null)[];
    readonly lr: number;
    readonly grad_norm: number | null;
    readonly params: readonly (readonly number[])[];
  }[];
  readonly final_exp_avg: readonly (readonly number[])[];
  readonly final_exp_avg_sq: readonly (readonly number[])[];
  readonly final_step: readonly number[];
}

// float64 on both sides; sums of a few terms may differ in their last bits
const closeness = { tolerance: 1e-10, floor: 1e-4 };
const closenessOfTiny = { tolerance: 1e-12, floor: Number.MIN_VALUE };

/** `adamw.jsonl`: whole runs of both AdamW variants, through the optimizer and the reference backend's kernels. */
export const checkAdamW: FileCheck = (folder, file) => {
  const findings = new Findings();
  const cases: readonly AdamWCase[] = JSON.parse(goldenText(folder, file));
  for (const golden of cases) runCase(golden, findings);
  return findings.verdict(cases.length);
};

function runCase(golden: AdamWCase, findings: Findings): void {
  const backend = createReferenceBackend();
  // an arena a parameter: their counts of updates differ once one has no gradient
  const arenas = golden.shapes.map((shape, i) => {
    const parameter = new Parameter(
      golden.weight_decay[i] === 0 ? `p${i}.bias` : `p${i}.weight`,
      shape,
    );
    parameter.buffer = buffer(backend, golden.init[i] ?? []);
    return new ParameterArena(backend, [], [parameter]);
  });
  const counts = arenas.map(() => 0);
  const [beta1, beta2] = golden.betas;
  const options = {
    variant: golden.optimizer.startsWith("torch") ? "adamw" : "adamw-hf",
    beta1,
    beta2,
    eps: golden.eps,
    weightDecay: Math.max(...golden.weight_decay),
  } as const;
  for (const [i, step] of golden.steps.entries()) {
    const where = `${golden.name} step ${i}`;
    const grads = clipped(backend, step.grads, golden.max_grad_norm);
    if (step.grad_norm !== null)
      findings.close("grad_norm", where, grads.norm, step.grad_norm, closeness);
    for (const [k, arena] of arenas.entries()) {
      const grad = grads.parts[k];
      if (grad === undefined) continue;
      backend.upload(arena.gradients, grad);
      const count = ++counts[k]!;
      // beta^Infinity is 0: the update without bias correction
      const t = golden.correct_bias === false ? Infinity : count;
      adamwStep(backend, arena, options, { lr: step.lr, t });
    }
    compareAll(
      findings,
      "params",
      where,
      backend,
      arenas.map((arena) => arena.values),
      step.params,
    );
  }
  const end = golden.name;
  compareAll(
    findings,
    "exp_avg",
    end,
    backend,
    arenas.map((arena) => arena.firstMoments),
    golden.final_exp_avg,
  );
  compareAll(
    findings,
    "exp_avg_sq",
    end,
    backend,
    arenas.map((arena) => arena.secondMoments),
    golden.final_exp_avg_sq,
  );
  findings.equal("step", end, counts, golden.final_step);
}

interface ClipCase {
  readonly max_norm: number;
  readonly grads: readonly (readonly number[] | readonly (readonly number[])[])[];
  readonly total_norm: number;
  readonly clipped: readonly (readonly number[] | readonly (readonly number[])[])[];
}

/** `clip-grad-norm.json`: the norm over all gradients and the gradients after clipping. */
export const checkClipping: FileCheck = (folder, file) => {
  const findings = new Findings();
  const cases: readonly ClipCase[] = JSON.parse(goldenText(folder, file));
  for (const [i, golden] of cases.entries()) {
    const backend = createReferenceBackend();
    const { parts, norm } = clipped(
      backend,
      golden.grads.map((grad) => grad.flat()),
      golden.max_norm,
    );
    findings.close("total_norm", `case ${i}`, norm, golden.total_norm, closenessOfTiny);
    const want = golden.clipped.map((grad) => grad.flat());
    for (const [k, part] of parts.entries()) {
      compareNumbers(findings, "clipped", `case ${i}`, part ?? [], want[k] ?? [], closenessOfTiny);
    }
  }
  return findings.verdict(cases.length);
};

/** Clips all gradients together, in one buffer as training keeps them. */
function clipped(
  backend: Backend,
  grads: readonly (readonly number[] | null)[],
  maxNorm: number | null,
) {
  const all = buffer(
    backend,
    grads.flatMap((grad) => grad ?? []),
  );
  const sum = buffer(backend, [0]);
  const norm = buffer(backend, [0]);
  backend.sumOfSquares(all, sum);
  backend.clipByNorm(all, sum, maxNorm ?? 0, norm);
  const numbers = backend.download(all);
  let at = 0;
  const parts = grads.map((grad) => {
    if (grad === null) return undefined;
    at += grad.length;
    return Array.from(numbers.subarray(at - grad.length, at));
  });
  return { parts, norm: backend.download(norm)[0] ?? Number.NaN };
}

function buffer(backend: Backend, values: readonly number[]): Buffer {
  const made = backend.alloc(backend.master, values.length);
  backend.upload(made, values);
  return made;
}

function compareAll(
  findings: Findings,
  quantity: string,
  where: string,
  backend: Backend,
  got: readonly Buffer[],
  want: readonly (readonly number[])[],
): void {
  for (const [i, one] of got.entries()) {
    compareNumbers(
      findings,
      quantity,
      `${where} parameter ${i}`,
      backend.download(one),
      want[i] ?? [],
    );
  }
}

function compareNumbers(
  findings: Findings,
  quantity: string,
  where: string,
  got: ArrayLike<number>,
  want: readonly number[],
  within = closeness,
): void {
  findings.equal(`${quantity} length`, where, got.length, want.length);
  for (const [i, value] of want.entries())
    findings.close(quantity, `${where} [${i}]`, got[i] ?? Number.NaN, value, within);
}
