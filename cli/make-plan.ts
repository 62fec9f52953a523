import { availableParallelism } from "node:os";
import type { RunConfig } from "../core/config/run-config.ts";
import type { Device, DeviceMemory } from "../core/device.ts";
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
  /** Devices to choose from; default: all. */
  readonly among?: readonly Device[];
}

/** Plans a run: declares and adapts the model to count its parameters, but loads no weights. */
export async function makePlan(
  run: PreparedRun,
  { seeds, samples, fit, among }: PlanOptions,
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
  const device = deviceFor(config, among);
  const needs = await runNeeds(run, await device.memoryModel(resolveDtype(config, among)));
  const deviceMemory = await device.memory();
  const data = await dataOverview(run, samples, (what, { lines }) =>
    warnings.push(`${what}: ${lines.join("\n").replaceAll(":\n", ": ").replaceAll("\n", "; ")}`),
  );
  const memory = memoryWarning(needs, deviceMemory);
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
    machine: machineOf(config, deviceMemory, among),
    needs,
    startAdvice: startAdvice(run),
    fit,
    warnings: memory === undefined ? warnings : [...warnings, memory],
  };
}

// --- internal ---

function machineOf(
  config: RunConfig,
  memory: DeviceMemory | undefined,
  among: readonly Device[] | undefined,
): Machine {
  const device = deviceFor(config, among);
  const { activation } = device.types(resolveDtype(config, among));
  return {
    device: device.name,
    dtype: activation,
    threads: config.threads ?? availableParallelism(),
    ...(memory?.kind === "own" && { memory }),
  };
}
