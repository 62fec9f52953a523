import { isAbsolute } from "node:path";
import type { RunConfig } from "../config/run-config.ts";
import { looksLikeRepo } from "../io/hub-repo.ts";
import type { TrainedDataset } from "../model/adapter-facts.ts";
import type { PreparedRun } from "./prepare.ts";

/** What a run reads: options by name. */
type DataOptions = Pick<
  RunConfig,
  "data" | "evalData" | "evalFraction" | "tuneFraction" | "limit" | "evalLimit"
>;

/**
 * The data set on the hub that a run trains on: the one given by name, or `hub`, the task's own;
 * undefined for local files.
 */
export function trainedDataset(
  options: DataOptions,
  hub: PreparedRun["hub"],
): TrainedDataset | undefined {
  const { data, evalData, evalFraction, tuneFraction, limit, evalLimit } = options;
  const parts = [evalData, evalFraction, tuneFraction, limit, evalLimit];
  const wholeSplits = parts.every((part) => part === null);
  if (data === null) return hub && { ...hub, wholeSplits };
  const [name = "", configuration] = data.split(":");
  const [id = name] = name.split("@");
  if (isAbsolute(data) || !looksLikeRepo(id)) return undefined;
  return { id, config: configuration ?? (id === hub?.id ? hub.config : undefined), wholeSplits };
}
