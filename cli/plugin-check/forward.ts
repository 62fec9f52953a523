import { shownShape } from "../../core/excerpt.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { findings, type PluginFinding } from "./finding.ts";
import { longExample } from "./examples.ts";
import { logitsOf, type Subject } from "./subject.ts";
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
    const required = expected.map((shape) => shownShape(shape)).join(" or ");
    const message = `the logits are ${shownShape(found)}, expected ${required}`;
    return fail(message, shapeHint(subject));
  }
  if (!finite) {
    const hint =
      "a kernel reads what nothing has set: check sizes, and which buffers each op reads";
    return fail("the logits hold NaN or Infinity", hint);
  }
  return beyondLimits(subject) ?? ok(`logits ${shownShape(found)}`);
}

// --- internal ---

/** A longer sequence would take the reference backend too long. */
const LONGEST = 256;

/** Runs the longest sequence and the highest id that the plugin's limits allow. */
function beyondLimits(subject: Subject): PluginFinding | undefined {
  const { maxLength, vocabSize } = subject.limits;
  const last = faultOf(subject, 2, vocabSize - 1);
  if (last !== undefined) {
    const message = `token ${vocabSize - 1}, the last below limits().vocabSize, ${last}`;
    return fail(message, "return the number of rows of the word embeddings");
  }
  const longest = maxLength > LONGEST ? undefined : faultOf(subject, maxLength, 0);
  if (longest === undefined) return undefined;
  const message = `a sequence of ${maxLength} tokens, limits().maxLength, ${longest}`;
  const hint =
    "return the rows of the position table, less those that it reserves below position 0";
  return fail(message, hint);
}

/**
 * What is wrong with the logits of a sequence. nn's tables refuse rows that they lack; ops do not.
 */
function faultOf(subject: Subject, length: number, id: number): string | undefined {
  const examples = [longExample(length, id)];
  try {
    const logits = logitsOf(subject, { examples });
    return logits.every((value) => Number.isFinite(value)) ? undefined : "gives NaN";
  } catch (error) {
    return `is refused: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Padded positions have a row each, or one for all of a sequence where they are equal. */
function expectedShapes({
  kind,
  labels,
  runner,
  examples,
  limits: { vocabSize },
}: Subject): number[][] {
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
