import { ForwardPass } from "../../core/forward-pass.ts";
import { findings, type PluginFinding } from "./finding.ts";
import { gradientsOf, type Subject } from "./subject.ts";

const { ok, fail, warn } = findings("checkpointing");

/** Checks that checkpointing changes no bit of loss and gradients; dropout masks included. */
export function checkCheckpointing(subject: Subject): PluginFinding {
  const { arena } = subject;
  const plain = gradientsOf(subject);
  const rerun = gradientsOf(subject, { checkpointing: true });
  const hint =
    "a layer that is rerun must compute the same again: no state of its own, no random numbers but pass.nextDropout, no op that overwrites its input";
  if (plain.loss !== rerun.loss) {
    return fail(`the loss is ${rerun.loss}, without checkpointing ${plain.loss}`, hint);
  }
  const at = plain.gradients.findIndex((value, i) => value !== rerun.gradients[i]);
  if (at >= 0) {
    let end = 0;
    const parameter = arena.parameters.find(({ length }) => (end += length) > at);
    return fail(`the gradient of ${parameter?.name} has other bits`, hint);
  }
  if (checkpointsOf(subject) > 0) return ok(`the same bits`);
  const rule = "no part of the model is in pass.checkpoint: --checkpointing saves no memory";
  return warn(rule, "run each layer in pass.checkpoint, as nn's encoder does");
}

// --- internal ---

/** The number of layers that a forward pass would rerun. */
function checkpointsOf({ backend, runner, examples }: Subject): number {
  const pass = new CountingPass(backend, { training: false });
  pass.scope(() => void runner.logits(pass, examples));
  return pass.checkpoints;
}

class CountingPass extends ForwardPass {
  checkpoints = 0;

  override checkpoint(...args: Parameters<ForwardPass["checkpoint"]>) {
    this.checkpoints++;
    return super.checkpoint(...args);
  }
}
