import type { ModuleScope } from "../../core/nn/module-scope.ts";
import type { Model, TaskHead } from "../../core/model/plugin.ts";
import { DebertaClassifier } from "./classifier.ts";
import type { DebertaConfig } from "./config.ts";
import { DebertaSpan } from "./span.ts";

/** Builds the model of a task; the head's dropout overrides the checkpoint's. */
export function buildDeberta(config: DebertaConfig, head: TaskHead, scope: ModuleScope): Model {
  const { hidden, attention, pooler, head: beforeHead } = config.dropout;
  const probabilities = {
    hidden: head.dropout?.hidden ?? hidden,
    attention: head.dropout?.attention ?? attention,
    pooler,
    head: head.dropout?.head ?? beforeHead,
  };
  const merged = { ...config, dropout: probabilities };
  return head.task === "span"
    ? new DebertaSpan(scope, merged, head.paddedQueries ?? "zero")
    : new DebertaClassifier(scope, merged, head.labels);
}
