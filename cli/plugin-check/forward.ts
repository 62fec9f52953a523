import { shownShape } from "../../core/excerpt.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { findings, type PluginFinding } from "./finding.ts";
import type { Subject } from "./subject.ts";
import { paddingOf } from "./task-runner.ts";

const { ok, fail } = findings("forward");

/** Checks the shape of a task's logits, and that they are finite. */
export function checkForward(subject: Subject): PluginFinding {
  const { backend, runner, examples } = subject;
  const pass = new ForwardPass(backend, { training: false });
  const expected = expectedShapes(subject);
  let found: readonly number[] = [];
  let finite = false;
  pass.scope(() => {
    const { shape, buffer } = runner.logits(pass, examples);
    found = shape;
    finite = backend.download(buffer).every((value) => Number.isFinite(value));
  });
  if (!expected.some((shape) => shape.join() === found.join())) {
    const wanted = expected.map((shape) => shownShape(shape)).join(" or ");
    const message = `the logits are ${shownShape(found)}, expected ${wanted}`;
    return fail(message, shapeHint(subject));
  }
  if (finite) return ok(`logits ${shownShape(found)}`);
  const hint = "a kernel reads what nothing has set: check sizes, and which buffers each op reads";
  return fail(`the logits hold NaN or Infinity`, hint);
}

// --- internal ---

/** Padded positions have a row each, or one for all of a sequence where they are equal. */
function expectedShapes({ kind, labels, runner, examples, vocabSize }: Subject): number[][] {
  const rows = examples.reduce((sum, example) => sum + runner.rowsOf(example), 0);
  if (kind.task === "generation") return [[rows, vocabSize]];
  if (kind.task !== "span") return [[examples.length, labels]];
  if (!kind.paddedQueries) return [[rows, labels]];
  const padding = paddingOf(examples);
  const [sequences, positions] = [
    padding.filter((count) => count > 0).length,
    padding.reduce((sum, count) => sum + count, 0),
  ];
  return [sequences, positions].map((padded) => [rows + padded, labels]);
}

function shapeHint({ kind }: Subject): string {
  if (kind.paddedQueries)
    return "append the rows of padded positions (batch.padding) below the packed ones, as nn's encoder does";
  if (kind.task === "span") return "return one row per token: [N, 2]";
  if (kind.task === "generation") return "return one row per target token: [N, vocab_size]";
  return "return one row per sequence, of head.labels columns";
}
