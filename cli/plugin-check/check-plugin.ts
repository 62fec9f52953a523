import { createReferenceBackend } from "../../core/backend/reference.ts";
import { createTrackedBackend } from "../../core/backend/tracked.ts";
import type { PluginOrigin } from "../../core/model/families.ts";
import type { HeadKind, ModelPlugin } from "../../core/model/plugin.ts";
import { checkAdapters } from "./adapters.ts";
import { checkBatches } from "./batches.ts";
import { checkCheckpointing } from "./checkpointing.ts";
import { checkDeclaration } from "./declaration.ts";
import { checkDecoding } from "./decoding.ts";
import { checkDropout } from "./dropout.ts";
import {
  type CheckName,
  findings,
  type PluginSource,
  type PluginFinding,
  thrown,
} from "./finding.ts";
import { checkFirstTokens } from "./first-tokens.ts";
import { checkForward } from "./forward.ts";
import { checkGolden } from "./golden.ts";
import { checkGradients } from "./gradients.ts";
import { checkIncrements } from "./increments.ts";
import { checkMemory } from "./memory.ts";
import { openFolder } from "./open-folder.ts";
import { shrink } from "./shrink.ts";
import {
  createSubject,
  type Subject,
  type SubjectKind,
  subjectKinds,
  type SubjectSource,
} from "./subject.ts";
import { checkTokenizer } from "./tokenizer.ts";
import { checkWeights } from "./weights.ts";

/** Options of `checkPlugin`. */
export interface CheckOptions {
  /** Where the plugin was loaded from; undefined for a plugin of the program. */
  readonly origin?: PluginOrigin | undefined;
  /** A folder of recorded outputs to compare with; see `checkGolden`. */
  readonly golden?: string | undefined;
  /** Called before each group of checks, with what it looks at. */
  readonly onProgress?: (about: string) => void;
}

/**
 * Checks a model plugin against a model folder: its declaration, its rules for weights and adapters
 * on that checkpoint, and what its model computes, on a shrunken config in f64. Throws E_FILE for a
 * folder without config.json or weights; what the plugin throws becomes a finding.
 */
export async function checkPlugin(
  plugin: ModelPlugin,
  modelFolder: string,
  { origin, golden, onProgress = () => {} }: CheckOptions,
): Promise<readonly PluginFinding[]> {
  const source: PluginSource = { files: origin?.files ?? [] };
  onProgress("weights, adapters and tokenizer");
  const opened = openFolder(plugin, modelFolder, source);
  const found = [...checkDeclaration(plugin), ...opened.findings];
  const { folder } = opened;
  if (!folder) return found;
  found.push(...guarded("weights", source, () => checkWeights(plugin, folder)));
  found.push(...guarded("adapters", source, () => checkAdapters(plugin, folder)));
  found.push(await checkTokenizer(plugin, folder, source));
  const { finding, subject } = shrink(plugin, folder.rawConfig);
  found.push(finding);
  if (subject) {
    for (const kind of subjectKinds(plugin)) {
      onProgress(kind.name);
      const ofTask = withDeepStacks(() => checkTask(subject, kind, source));
      found.push(...ofTask.map((each) => ({ ...each, task: kind.name })));
    }
  }
  if (golden !== undefined) {
    onProgress("recorded outputs");
    found.push(...checkGolden(plugin, { golden, model: modelFolder }, source));
  }
  return found;
}

// --- internal ---

type TaskCheck = readonly [CheckName, (subject: Subject) => PluginFinding];

const firstTokens: TaskCheck = ["first tokens", checkFirstTokens];

/** The checks that only some tasks have. */
const taskChecks: Readonly<Record<HeadKind, readonly TaskCheck[]>> = {
  classification: [firstTokens],
  regression: [firstTokens],
  span: [],
  generation: [["decoding", checkDecoding]],
};

/** Every check of what a task's model computes. */
function checkTask(
  subject: SubjectSource,
  kind: SubjectKind,
  source: PluginSource,
): PluginFinding[] {
  const create = () => createSubject(createReferenceBackend(), subject, kind);
  const dropping = { hidden: 0.1, attention: 0.1, head: 0.1 };
  const createDropping = () => createSubject(createReferenceBackend(), subject, kind, dropping);
  const forward = guarded("forward", source, () => [checkForward(create())]);
  if (forward.some(({ level }) => level === "fail")) {
    const { skip } = findings("gradients");
    return [...forward, skip("not checked, as are the checks below")];
  }
  const tracked = () => {
    const backend = createTrackedBackend(createReferenceBackend());
    return { ...createSubject(backend, subject, kind, dropping), backend };
  };
  const checks: readonly (readonly [CheckName, () => readonly PluginFinding[]])[] = [
    ["memory", () => [checkMemory(tracked(), source)]],
    ["gradients", () => checkGradients(createDropping())],
    ["checkpointing", () => [checkCheckpointing(createDropping())]],
    ["batches", () => [checkBatches(create())]],
    ["dropout", () => checkDropout(subject, kind)],
    ["increments", () => [checkIncrements(create())]],
    ...taskChecks[kind.task].map(([name, check]) => [name, () => [check(create())]] as const),
  ];
  return [...forward, ...checks.flatMap(([name, run]) => guarded(name, source, run))];
}

/** Runs a check; an error of the plugin becomes its finding. */
function guarded(
  check: CheckName,
  source: PluginSource,
  run: () => readonly PluginFinding[],
): readonly PluginFinding[] {
  try {
    return run();
  } catch (error) {
    return [thrown(check, error, source)];
  }
}

/** Runs with stack traces that reach from a kernel to the plugin's line. */
function withDeepStacks<T>(run: () => T): T {
  const before = Error.stackTraceLimit;
  Error.stackTraceLimit = 50;
  try {
    return run();
  } finally {
    Error.stackTraceLimit = before;
  }
}
