import { isOneOf, pruningMethods, svdMethods } from "../../core/config/method.ts";
import type { RunConfig } from "../../core/config/run-config.ts";
import { defaultInitRank } from "../../core/run/target.ts";
import { withMethod } from "../with-method.ts";
import type { ArmKind, ArmSpec } from "./arm-specs.ts";

/** One arm of a comparison, checked and ready to run. */
export interface Arm {
  readonly name: string;
  /** Its folder within the comparison's. */
  readonly folder: string;
  readonly kind: ArmKind;
  /** Repeats its runs, but for the seed and a rate that is still to be picked. */
  readonly config: RunConfig;
  /** Whether its learning rate is its own, and not picked from a grid. */
  readonly hasOwnRate: boolean;
  /** Adapter parameters that it trains at first. */
  readonly startParameters: number;
  /** Adapter parameters that it may end with. */
  readonly endParameters: number;
  /** Whether these are not those of the common final rank, by a setting of its own. */
  readonly hasOtherSize: boolean;
  /** What its increments are multiplied by: alpha / initial rank. */
  readonly scale: number;
  readonly steps: number;
}

/** What all arms have in common. */
export interface CommonRanks {
  /** Final rank of every matrix, on average where an arm prunes. */
  readonly rank: number;
  /** Rank at which arms start that prune or are cut. */
  readonly initRank: number;
}

/**
 * The ranks that make arms equal: the target as a whole number, since LoRA has the same rank in
 * every matrix, and the requested initial rank or one derived from it. `largest`: the largest rank
 * that a matrix can have.
 */
export function commonRanks(
  { method, initRank }: Pick<RunConfig, "method" | "initRank">,
  average: number,
  largest: number,
): CommonRanks {
  const rank = Math.max(1, Math.round(average));
  const requested = isOneOf(method, pruningMethods) ? initRank : null;
  const derived = Math.min(defaultInitRank(rank), largest);
  return { rank, initRank: Math.max(rank, requested ?? derived) };
}

/**
 * The configuration of an arm. Arms of equal rank have equal numbers of parameters in every matrix;
 * arms that prune get that number as their budget.
 */
export function armConfig(
  base: RunConfig,
  { kind, values }: Pick<ArmSpec, "kind" | "values">,
  { rank, initRank }: CommonRanks,
): RunConfig {
  const { method, allocator, isCut } = kind;
  const config = { ...withMethod(base, method), allocator, ...noTarget };
  // The paper's start needs E.
  const hasE = isOneOf(method, svdMethods);
  const own = config.start === "paper" && !hasE ? { ...config, start: null } : config;
  const isPruned = isOneOf(method, pruningMethods);
  const ranks = isPruned
    ? ({ initRank, targetRank: rank, budgetUnit: "parameters" } as const)
    : { initRank: isCut ? initRank : rank, targetRank: rank };
  return { ...own, ...ranks, ...values };
}

/**
 * Folder names of arms: their names without characters that a file name can't have, no longer than
 * one may be.
 */
export function folderNames(names: readonly string[]): readonly string[] {
  const plain = names.map((name) => name.replaceAll(/[^\w.-]+/g, "-").slice(0, LONGEST_NAME));
  return plain.map((name, i) => (plain.indexOf(name) === i ? name : `${name}_${i + 1}`));
}

// --- internal ---

/** Most characters of a folder's name; a file name may have 255 bytes. */
const LONGEST_NAME = 120;

const noTarget = { targetTotalRank: null, budget: null, budgetUnit: null } as const;
