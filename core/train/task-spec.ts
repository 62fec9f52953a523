import type { ReadSpec } from "../data/examples.ts";
import { type GlueTask, glueTasks, isGlueTask } from "../data/glue-tasks.ts";
import type { Scored } from "../metrics/glue-metrics.ts";
import type { SequenceTask } from "../plugin.ts";
import type { RunConfig } from "./config.ts";

/** What a task asks of a model. */
export interface TaskSpec {
  readonly glue: GlueTask | undefined;
  readonly kind: SequenceTask;
  readonly scored: Scored;
  readonly labelNames: readonly string[] | undefined;
  /** Width of the model's output. */
  readonly width: number;
}

/** The GLUE task of a task's name, and what it predicts. */
export function namedTask(name: string): { glue: GlueTask | undefined; kind: SequenceTask } {
  const glue = isGlueTask(name) ? glueTasks[name] : undefined;
  const kind = glue?.kind ?? (name === "regression" ? "regression" : "classification");
  return { glue, kind };
}

/** A task's output and metrics. Data of one's own is scored by accuracy, with F1 for two classes; scores by correlation. */
export function taskSpec(
  glue: GlueTask | undefined,
  kind: SequenceTask,
  labelNames: readonly string[] | undefined,
): TaskSpec {
  if (kind === "regression") {
    return {
      glue,
      kind,
      scored: glue ?? { metrics: ["pearson", "spearmanr"] },
      labelNames: undefined,
      width: 1,
    };
  }
  const width = labelNames?.length ?? 2;
  const own: Scored = { metrics: width === 2 ? ["accuracy", "f1"] : ["accuracy"] };
  return { glue, kind, scored: glue ?? own, labelNames, width };
}

/** Names under which an evaluation's numbers are known: the task's metrics, their mean where there are several, and the loss. */
export function metricNames({ scored }: Pick<TaskSpec, "scored">): readonly string[] {
  return [...scored.metrics, ...(scored.metrics.length > 1 ? ["combined_score"] : []), "loss"];
}

/** The data's columns and labels, as the configuration names them. */
export function readSpec(
  config: Pick<RunConfig, "textColumn" | "pairColumn" | "labelColumn" | "limit" | "labels">,
  task: GlueTask | undefined,
  kind: SequenceTask,
  labels: ReadSpec["labels"] = "required",
): ReadSpec {
  const { textColumn, pairColumn, labelColumn, limit, labels: labelNames } = config;
  return {
    task,
    kind,
    labels,
    ...(textColumn === null ? {} : { textColumn }),
    ...(pairColumn === null ? {} : { pairColumn }),
    ...(labelColumn === null ? {} : { labelColumn }),
    ...(limit === null ? {} : { limit }),
    ...(labelNames === null ? {} : { labelNames }),
  };
}
