import { findings, type PluginFinding } from "./finding.ts";
import {
  createSubject,
  largestDifference,
  logitsOf,
  lossOf,
  type Subject,
  type SubjectDropout,
  type SubjectKind,
  type SubjectSource,
} from "./subject.ts";
import { createReferenceBackend } from "../../core/backend/reference.ts";

const { ok, fail, warn } = findings("dropout");

const none = { hidden: 0, attention: 0, head: 0 };
const some = 0.3;

/** Checks that dropout is a function of the seed, is off in evaluation, and obeys its options. */
export function checkDropout(source: SubjectSource, kind: SubjectKind): PluginFinding[] {
  const create = (dropout: SubjectDropout) =>
    createSubject(createReferenceBackend(), source, kind, { ...none, ...dropout });
  const [off, on] = [create(none), create({ hidden: some, attention: some, head: some })];
  const { task } = kind;
  if (lossOf(on) !== lossOf(on) || lossOf(off) !== lossOf(off)) {
    const hint = "take every mask from pass.nextDropout; forward must keep no state of its own";
    return [fail(`two passes with the same seed give different losses`, hint)];
  }
  if (largestDifference(logitsOf(on), logitsOf(off)) > 0) {
    const hint = "take every mask from pass.nextDropout, which gives none outside training";
    return [fail(`dropout changes the logits of an evaluation`, hint)];
  }
  if (isRandom(off)) {
    const rule = "drops values though every probability is 0";
    const hint = "read every probability from config.json, or from head.dropout where it is set";
    return [fail(`training ${rule}`, hint)];
  }
  if (!isRandom(create({ hidden: some, attention: some }))) {
    const rule = "head.dropout.hidden and head.dropout.attention have no effect: nor has --dropout";
    const hint = "in build, take head.dropout?.hidden ?? the config's own probability";
    return [fail(rule, hint)];
  }
  const hasHead = task === "classification" || task === "regression";
  if (hasHead && !isRandom(create({ head: some }))) {
    const rule = "head.dropout.head has no effect: nor has --cls-dropout";
    return [warn(rule, "drop the classifier's input, if the architecture does")];
  }
  return [ok(`a function of the seed, off in evaluation`)];
}

// --- internal ---

/** Whether the passes of different steps drop different values. */
function isRandom(subject: Subject): boolean {
  return lossOf(subject, { index: 1 }) !== lossOf(subject, { index: 2 });
}
