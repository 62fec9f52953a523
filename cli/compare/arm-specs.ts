import { isSettingName, isUsedByMethod, type RunConfig } from "../../core/config/run-config.ts";
import type { Method } from "../../core/config/method.ts";
import { settings } from "../../core/config/settings.ts";
import { errors } from "../../core/errors.ts";
import { nearest } from "../../core/nearest.ts";
import { kebab, spellings } from "../names.ts";
import { experimentSettings } from "./experiment-settings.ts";

/** How an arm trains: a method, and what it does with the ranks. */
export interface ArmKind {
  readonly about: string;
  readonly method: Method;
  /** The rule for ranks; null: the method's own. */
  readonly allocator: string | null;
  /**
   * Whether it trains at the initial rank and is cut to the budget by singular values afterwards.
   */
  readonly isCut: boolean;
}

const kind = (method: Method, about: string, more: Partial<ArmKind> = {}): ArmKind => ({
  about,
  method,
  allocator: null,
  isCut: false,
  ...more,
});

/** Every arm that `--methods` names. */
export const armKinds: Readonly<Record<string, ArmKind>> = {
  lora: kind("lora", "LoRA at the final rank"),
  "svd-lora": kind("svd-lora", "SVD-LoRA at the final rank"),
  adalora: kind("adalora", "AdaLoRA, pruned by importance"),
  uniform: kind("adalora", "AdaLoRA, every matrix pruned alike", { allocator: "uniform" }),
  random: kind("adalora", "AdaLoRA, pruned at random", { allocator: "random" }),
  "prune-lora": kind("prune-lora", "LoRA, pruned by importance"),
  "lora-cut": kind("lora", "LoRA at the initial rank, then cut once by singular values", {
    isCut: true,
  }),
};

/** An arm as `--methods` spells it: "adalora:start=lora:lr-e=0.01". */
export interface ArmSpec {
  /** The spelling, made distinct: a second "adalora" is "adalora-2". */
  readonly name: string;
  readonly kind: ArmKind;
  /** Its own settings, over those of the comparison. */
  readonly values: Partial<RunConfig>;
}

/** Names that stand for several arms: the paper's ablations, its own method last. */
export const armSets: Readonly<Record<string, readonly string[]>> = {
  "table-4": [
    "prune-lora",
    "adalora:importance=sensitivity",
    "adalora:importance=magnitude",
    "adalora",
  ],
  "table-5": ["lora", "svd-lora:reg-orth-coef=0", "svd-lora", "adalora:reg-orth-coef=0", "adalora"],
};

/** Reads `--methods`. Throws E_FLAG for an unknown arm, or a setting that an arm can't have. */
export function armSpecs(words: readonly string[]): readonly ArmSpec[] {
  const seen = new Map<string, number>();
  const all = words.flatMap((word) => (Object.hasOwn(armSets, word) ? armSets[word]! : [word]));
  return all.map((word) => {
    const [name = "", ...pairs] = word.split(":");
    const found = Object.hasOwn(armKinds, name) ? armKinds[name] : undefined;
    if (!found && Object.hasOwn(armSets, name)) {
      throw errors.flag("methods", `"${word}": ${name} stands for several arms, without settings`);
    }
    if (!found) throw unknownArm(name);
    const own = pairs.map((pair) => ownSetting(word, pair, found));
    const values = Object.fromEntries(own);
    if (Object.keys(values).length < own.length) {
      throw errors.flag("methods", `"${word}" gives a setting twice`);
    }
    const count = (seen.get(word) ?? 0) + 1;
    seen.set(word, count);
    return { name: count === 1 ? word : `${word}-${count}`, kind: found, values };
  });
}

// --- internal ---

/** Settings that make the arms comparable, so that no arm has its own. */
const common: ReadonlySet<string> = new Set([
  ...experimentSettings,
  "trainLimit",
  "method",
  "allocator",
  "targetRank",
  "targetTotalRank",
  "budget",
  "budgetUnit",
  "dtype",
  "fromPruned",
]);

const names = spellings(settings);

function ownSetting(word: string, pair: string, { method }: ArmKind): [string, unknown] {
  const at = pair.indexOf("=");
  const [name, raw] = at < 0 ? [pair, ""] : [pair.slice(0, at), pair.slice(at + 1)];
  if (at < 0) throw errors.flag("methods", `"${word}": "${pair}" must be NAME=VALUE`);
  const key = names.get(kebab(name));
  if (key === undefined || !isSettingName(key)) throw unknownSetting(word, name);
  if (common.has(key)) {
    throw errors.flag("methods", `"${word}": ${kebab(key)} is the same for all arms`);
  }
  if (!isUsedByMethod(key, method)) {
    throw errors.flag("methods", `"${word}": method ${method} does not use ${kebab(key)}`);
  }
  const value = settings[key].read(raw);
  if (value === undefined) {
    throw errors.flag("methods", `"${word}": ${kebab(key)} must be ${settings[key].want}`);
  }
  return [key, value];
}

function unknownSetting(word: string, name: string) {
  const own = [...names].filter(([, key]) => !common.has(key)).map(([spelling]) => spelling);
  const guess = nearest(kebab(name), own);
  const hint = guess === undefined ? undefined : `did you mean ${guess}?`;
  return errors.flag("methods", `"${word}": there is no setting "${name}"`, hint);
}

function unknownArm(name: string) {
  const known = [...Object.keys(armKinds), ...Object.keys(armSets)];
  const guess = nearest(name, known);
  const hint = guess === undefined ? undefined : `did you mean ${guess}?`;
  return errors.flag("methods", `must be among ${known.join(", ")}, got "${name}"`, hint);
}
