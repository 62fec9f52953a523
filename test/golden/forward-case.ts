import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Backend } from "../../core/backend.ts";
import { openTorchCheckpoint } from "../../core/io/torch-pickle.ts";
import { ParameterArena } from "../../core/optim/parameter-arena.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { sequenceLoss } from "../../core/tasks/sequence-loss.ts";
import { Comparison, type CaseResult } from "./comparison.ts";
import { type GoldenCase, packGolden, tensorOf } from "../../core/model/golden-case.ts";
import { type CaseModel, type Tolerance, loadModel } from "./golden-case.ts";

/** Hidden states, logits, loss and every gradient of a DeBERTa classifier; with a bin beside the safetensors, from both. */
export function checkForward(
  backend: Backend,
  golden: GoldenCase,
  tolerance: Tolerance,
): CaseResult {
  const comparison = new Comparison(tolerance);
  // The last layer is computed whole only where it is seen.
  for (const observed of [true, false]) {
    const model = loadModel(backend, golden.dir, { trainAll: true });
    compareForward(backend, golden, model, tolerance, comparison, observed);
  }
  const bin = join(golden.dir, "pytorch_model.bin");
  if (existsSync(bin) && existsSync(join(golden.dir, "model.safetensors"))) {
    const weights = openTorchCheckpoint(bin);
    compareForward(
      backend,
      golden,
      loadModel(backend, golden.dir, { trainAll: true, weights }),
      tolerance,
      comparison,
    );
  }
  return comparison.result;
}

function compareForward(
  backend: Backend,
  golden: GoldenCase,
  { model, tree }: CaseModel,
  tolerance: Tolerance,
  comparison: Comparison,
  observed = true,
): void {
  const batch = packGolden(
    tensorOf(golden, "input.input_ids"),
    tensorOf(golden, "input.attention_mask"),
    golden.tensors.get("input.token_type_ids"),
  );
  const hidden = new Map<string, ArrayLike<number>>();
  const parameters = [...tree.parameters.values()];
  const arena = new ParameterArena(backend, [], parameters);
  const pass = new ForwardPass(backend, {
    training: true,
    ...(observed && {
      observe: (name, tensor) => hidden.set(name, backend.download(tensor.buffer)),
    }),
  });
  pass.scope(() => {
    const labels = golden.tensors.get("input.labels")?.values;
    const logits = golden.tensors.get("out.logits");
    if (!labels || !logits) {
      model.forward(pass, batch);
      pass.tape.clear();
      return;
    }
    let got: ArrayLike<number> = [];
    const spied = {
      forward: (...args: Parameters<typeof model.forward>) => {
        const out = model.forward(...args);
        got = backend.download(out.buffer);
        return out;
      },
    };
    const task = logits.shape[1] === 1 ? "regression" : "classification";
    const loss = sequenceLoss(spied, task)(pass, { ...batch, labels });
    comparison.close("logits", got, logits.values, tolerance.outputs);
    comparison.close(
      "loss",
      backend.download(loss.buffer),
      tensorOf(golden, "loss").values,
      tolerance.outputs,
    );
    pass.tape.backward(loss, 1);
  });
  if (observed) compareHidden(golden, hidden, batch.rows, tolerance, comparison);
  for (const [name, want] of golden.tensors) {
    if (!name.startsWith("grad.")) continue;
    const parameter = tree.parameters.get(name.replace("grad.", ""));
    if (!parameter) {
      comparison.fail(`${name}: the model has no such parameter`);
      continue;
    }
    const got = backend.download(arena.partOf(arena.gradients, parameter));
    comparison.close("gradients", got, want.values, tolerance.gradients, name);
  }
}

/** Golden hidden states are padded [B, T, C]; ours are packed [N, C]. */
function compareHidden(
  golden: GoldenCase,
  hidden: ReadonlyMap<string, ArrayLike<number>>,
  rows: Int32Array,
  tolerance: Tolerance,
  comparison: Comparison,
): void {
  for (const [name, want] of golden.tensors) {
    if (!name.startsWith("out.hidden.")) continue;
    const width = want.shape.at(-1) ?? 1;
    const packed = Array.from(rows).flatMap((row) => [
      ...want.values.subarray(row * width, (row + 1) * width),
    ]);
    const got = hidden.get(name.replace("out.", ""));
    if (got) comparison.close("hidden", got, packed, tolerance.outputs, name);
    else comparison.fail(`${name}: the model shows no such hidden state`);
  }
}
