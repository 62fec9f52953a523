import { availableParallelism } from "node:os";
import type { RunConfig } from "../core/config/run-config.ts";
import type { PreparedRun } from "../core/run/prepare.ts";
import { deviceFor, resolveDtype } from "./backend.ts";
import { memoryWarning } from "./memory.ts";
import type { Machine, Plan } from "./plan-text.ts";

/** What a plan has beside the run itself. */
interface PlanOptions {
  readonly seeds?: readonly number[] | undefined;
  /** Training examples to show. */
  readonly samples: number;
  /** How the run was fitted into --memory. */
  readonly fit?: string | undefined;
}

/** Plans a run: declares and adapts the model to count its parameters, but loads no weights. */
export async function makePlan(
  run: PreparedRun,
  { seeds, samples, fit }: PlanOptions,
): Promise<Plan> {
  const { config, schedule, target, declared, train, heldOut } = run;
  const warnings = [...run.warnings];
  const { backboneParameters } = await import("../core/model/model-files.ts");
  const { adaptRun } = await import("../core/run/create-trainer.ts");
  const { startingSummary } = await import("../core/run/starting-summary.ts");
  const { runNeeds } = await import("../core/run/needs.ts");
  const { startAdvice } = await import("../core/run/start-advice.ts");
  const { dataOverview } = await import("../core/run/overview.ts");
  const modelParameters = backboneParameters(declared);
  const { adapters, trained } = adaptRun(run);
  const device = deviceFor(config);
  const needs = await runNeeds(run, await device.memoryModel(resolveDtype(config)));
  const data = await dataOverview(run, samples, (what, { lines }) =>
    warnings.push(`${what}: ${lines.join("\n").replaceAll(":\n", ": ").replaceAll("\n", "; ")}`),
  );
  const memory = memoryWarning(needs, await device.availableMemory());
  return {
    config,
    schedule,
    rows: train.rows,
    data,
    heldOutRows: heldOut?.rows.length,
    target,
    seeds,
    from: run.from && startingSummary(run.from, config),
    matrices: run.from?.layers.length ?? adapters.length,
    modelParameters,
    trainedParameters: trained.reduce((sum, { length }) => sum + length, 0),
    machine: machineOf(config),
    needs,
    startAdvice: startAdvice(run),
    fit,
    warnings: memory === undefined ? warnings : [...warnings, memory],
  };
}

// --- internal ---

function machineOf(config: RunConfig): Machine {
  const { name } = deviceFor(config);
  const dtype = resolveDtype(config);
  const { activation } = deviceFor(config).types(dtype);
  return { device: name, dtype: activation, threads: config.threads ?? availableParallelism() };
}
