import type { Backend } from "../../core/backend.ts";
import { ParameterArena } from "../../core/optim/parameter-arena.ts";
import type { TaskHead } from "../../core/model/plugin.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { type SpanBatch, answerSpanLoss } from "../../core/tasks/span-loss.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GoldenCase, packGolden, tensorOf } from "../../core/model/golden-case.ts";
import { type Tolerance, loadModel } from "./golden-case.ts";
import type { TrainingKind } from "./training-case.ts";

/** Sets of numbers in goldens: padded queries as in transformers 5, in the authors' fork, and a loss of tokens alone. */
const maskings = [
  ["", "uniform"],
  ["_legacy", "zero"],
  ["_tokens", undefined],
] as const;

const headOf = (paddedQueries: "zero" | "uniform" | undefined): TaskHead => ({
  task: "span",
  labels: 2,
  ...(paddedQueries && { paddedQueries }),
});

/** Logits at the tokens, loss and every gradient of extractive QA, under both maskings. */
export function checkSpan(backend: Backend, golden: GoldenCase, tolerance: Tolerance): CaseResult {
  const comparison = new Comparison(tolerance);
  for (const [tag, queries] of maskings) {
    if (golden.tensors.has(`loss${tag}`))
      compareSpan(backend, golden, tag, queries, tolerance, comparison);
  }
  return comparison.result;
}

function compareSpan(
  backend: Backend,
  golden: GoldenCase,
  tag: string,
  queries: "zero" | "uniform" | undefined,
  tolerance: Tolerance,
  comparison: Comparison,
): void {
  const { model, tree } = loadModel(backend, golden.dir, { trainAll: true, head: headOf(queries) });
  const arena = new ParameterArena(backend, [], [...tree.parameters.values()]);
  const { padding, ...packed } = spanBatch(golden, "input.", 0);
  const batch = queries ? { ...packed, ...(padding && { padding }) } : packed;
  const pass = new ForwardPass(backend, { training: true });
  pass.scope(() => {
    let logits: ArrayLike<number> = [];
    const spied = {
      forward: (...args: Parameters<typeof model.forward>) => {
        const out = model.forward(...args);
        logits = backend.download(out.buffer);
        return out;
      },
    };
    const loss = answerSpanLoss(spied)(pass, batch);
    for (const [column, name] of ["start", "end"].entries()) {
      const want = tensorOf(golden, `out${tag}.${name}_logits`).values;
      const got = Array.from(batch.rows, (_, row) => logits[2 * row + column]!);
      comparison.close(
        `logits${tag}`,
        got,
        Array.from(batch.rows, (row) => want[row]!),
        tolerance.outputs,
      );
    }
    comparison.close(
      `loss${tag}`,
      backend.download(loss.buffer),
      tensorOf(golden, `loss${tag}`).values,
      tolerance.outputs,
    );
    pass.tape.backward(loss, 1);
  });
  for (const [name, want] of golden.tensors) {
    if (!name.startsWith(`grad${tag}.`)) continue;
    const parameter = tree.parameters.get(name.slice(`grad${tag}.`.length));
    if (!parameter) comparison.fail(`${name}: the model has no such parameter`);
    else {
      const got = backend.download(arena.partOf(arena.gradients, parameter));
      comparison.close(`gradients${tag}`, got, want.values, tolerance.gradients, name);
    }
  }
}

/** Training trajectories of QA were made with transformers 5. */
export const spanKind: TrainingKind<SpanBatch> = {
  head: headOf("uniform"),
  lossOf: ({ model }) => answerSpanLoss(model),
  batch: (golden, step) => spanBatch(golden, "batch.", step),
};

function spanBatch(
  golden: GoldenCase,
  prefix: string,
  step: number,
): SpanBatch & { rows: Int32Array } {
  const ids = tensorOf(golden, `${prefix}input_ids`);
  const [sequences, width] = [ids.shape.at(-2) ?? 0, ids.shape.at(-1) ?? 0];
  const offset = step * sequences * width;
  const types = golden.tensors.get(`${prefix}token_type_ids`);
  const packed = packGolden(ids, tensorOf(golden, `${prefix}attention_mask`), types, { offset });
  const positions = (name: string) =>
    tensorOf(golden, `${prefix}${name}_positions`).values.subarray(
      step * sequences,
      (step + 1) * sequences,
    );
  const padding = Int32Array.from(
    { length: sequences },
    (_, b) => width - (packed.offsets[b + 1]! - packed.offsets[b]!),
  );
  return { ...packed, padding, starts: positions("start"), ends: positions("end") };
}
