import {
  FreedBufferError,
  type LiveBuffer,
  type TrackedBackend,
} from "../../core/backend/tracked.ts";
import { AdaloraError } from "../../core/errors.ts";
import { lineIn } from "../../core/model/guard-plugin.ts";
import { ForwardPass } from "../../core/forward-pass.ts";
import { counted, findings, type PluginSource, type PluginFinding } from "./finding.ts";
import { type Subject, trainingPass } from "./subject.ts";

const { ok, fail } = findings("memory");

/** A subject on a backend that notices how its buffers are used. */
export interface TrackedSubject extends Subject {
  readonly backend: TrackedBackend;
}

/** Checks what a task's passes leave allocated, and that no pass reads what it has freed. */
export function checkMemory(subject: TrackedSubject, plugin: PluginSource): PluginFinding {
  for (const mode of modes) {
    const { backend, arena } = subject;
    arena.zeroGradients();
    const [before, downloads] = [new Set(backend.liveBuffers()), backend.downloads()];
    const where = mode.name;
    try {
      mode.run(subject);
    } catch (error) {
      const freed = error instanceof AdaloraError ? error.cause : error;
      if (freed instanceof FreedBufferError) return freedBuffer(where, freed, mode, plugin);
      throw error;
    }
    const left = backend.liveBuffers().filter((buffer) => !before.has(buffer));
    if (left.length > 0) return leftBuffers(where, left, plugin);
    if (backend.downloads() > downloads) {
      const hint = "compute on the device: values are downloaded once a step, for the report";
      return fail(`${where}: forward or backward downloads values`, hint);
    }
  }
  return ok(`nothing is live after a pass, with checkpointing or without`);
}

// --- internal ---

interface Mode {
  readonly name: string;
  readonly checkpointing: boolean;
  run(subject: Subject): void;
}

const modes: readonly Mode[] = [
  {
    name: "evaluation",
    checkpointing: false,
    run({ backend, runner, examples }) {
      const pass = new ForwardPass(backend, { training: false });
      pass.scope(() => void runner.logits(pass, examples));
    },
  },
  { name: "training", checkpointing: false, run: (subject) => train(subject, false) },
  {
    name: "training with checkpointing",
    checkpointing: true,
    run: (subject) => train(subject, true),
  },
];

function train({ backend, runner, examples }: Subject, checkpointing: boolean): void {
  const pass = trainingPass(backend, { checkpointing });
  // The inner scope frees what the forward pass leaves unnamed, as the end of a larger model would.
  pass.scope(() => {
    const loss = pass.scope(() => runner.loss(pass, examples));
    pass.tape.backward(loss, 1);
  });
}

function freedBuffer(where: string, error: FreedBufferError, mode: Mode, plugin: PluginSource) {
  const allocated = lineIn(error.allocation, plugin.files);
  const from = allocated === undefined ? "" : `, allocated at ${allocated}`;
  const hint = mode.checkpointing
    ? "name it in the list that pass.checkpoint gets: every buffer from outside that the layer reads"
    : "a buffer lives until the scope that allocated it ends: return it from there, or allocate it outside";
  const message = `${where}: ${error.kernel} reads a buffer that has been freed${from}`;
  return fail(message, hint, lineIn(error, plugin.files) ?? allocated);
}

function leftBuffers(where: string, left: readonly LiveBuffer[], plugin: PluginSource) {
  const bytes = left.reduce((sum, buffer) => sum + buffer.bytes, 0);
  const lines = left.map(({ allocation }) => lineIn(allocation, plugin.files));
  const line = lines.find((found) => found !== undefined);
  const hint =
    "allocate with pass.allocate, pass.allocateMaster or pass.integers, whose buffers end with their scope";
  const message = `${where}: ${counted(left.length, "buffer")} (${bytes} bytes) still live after the pass`;
  return fail(message, hint, line);
}
