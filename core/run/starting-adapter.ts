import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isOneOf, svdMethods } from "../config/method.ts";
import type { Layer, RunConfig } from "../config/run-config.ts";
import { errors } from "../errors.ts";
import { currentDirectory } from "../io/atomic.ts";
import { openCheckpoint } from "../io/checkpoint-files.ts";
import type { PeftAdapter } from "../io/peft-adapter.ts";
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, OLD_ADAPTER_WEIGHTS } from "../io/peft.ts";
import { openMapped } from "../io/mapped-file.ts";
import type { StoredTensor } from "../io/stored-tensor.ts";
import { matchWeights } from "../model/load-weights.ts";
import { savedParameters } from "../model/adapter-files.ts";
import type { Sources } from "../model/model-files.ts";
import type { DeclaredModel } from "../model/open-model.ts";
import {
  checkLayers,
  isConverted,
  type StartingLayer,
  startingLayers,
} from "../model/starting-layers.ts";
import { splitFused } from "../model/split-fused.ts";
import { openAdapter } from "./open-adapter.ts";
import { startingTarget } from "./starting-target.ts";
import type { RankTarget } from "./target.ts";
import type { Diagnostics } from "./phases.ts";

/** The adapter that a run starts from, checked against its model. */
export interface StartingAdapter {
  readonly dir: string;
  /** Its files, which the run keeps mapped. */
  readonly files: readonly string[];
  /** SHA-256 of its files. */
  readonly hash: string;
  readonly adapter: PeftAdapter;
  readonly layers: readonly StartingLayer[];
  /** The model's parameters that it holds in full, by name. */
  readonly saved: ReadonlyMap<string, StoredTensor>;
  /** The model's parameters to train: these, and heads that neither it nor the checkpoint has. */
  readonly trained: ReadonlySet<string>;
  readonly target: RankTarget & { readonly diagnostics: Diagnostics };
}

/**
 * Opens the adapter of `--from` for a run of a declared model. Throws if the model lacks one of its
 * layers or tensors, if the method cannot train it, and for an option that the adapter fixes.
 */
export async function openStartingAdapter(
  config: RunConfig,
  { declared, modelDir }: { readonly declared: DeclaredModel; readonly modelDir: string },
  sources: Pick<Sources, "adapter">,
): Promise<StartingAdapter | undefined> {
  const { from, fromPruned } = config;
  if (from === null) {
    if (fromPruned === null) return undefined;
    throw errors.missing("from", "--from-pruned is about the pruned triplets of --from");
  }
  const { dir, adapter } = await openAdapter(from, "last", sources);
  checkFixed(config, adapter);
  const { tree, plugin } = declared;
  checkLayers(
    adapter.modules.map((source) => ({ path: source.path, source })),
    tree.linears,
    dir,
  );
  const parameters = savedParameters({ tree, plugin }, adapter, dir);
  const saved = new Map(Array.from(parameters, ([{ name }, tensor]) => [name, tensor]));
  const names = new Set(saved.keys());
  const { tensors } = openCheckpoint(modelDir);
  const { newlyInitialized } = matchWeights(tree, tensors, plugin, modelDir, names);
  const trained = new Set([...names, ...newlyInitialized.map(({ name }) => name)]);
  // Revived triplets have the rank of the layer, not of a part.
  const isSplit = fromPruned !== "revived";
  const byParts = isSplit ? splitFused(adapter, tree.linears) : { adapter, whole: [] };
  const linears = [...tree.linears.values(), ...tree.adaptable.values()];
  const target = startingTarget(config, byParts.adapter, { declared, linears });
  const { method, alpha } = config;
  const options = {
    method,
    pruned: fromPruned ?? "kept",
    initRank: target.initRank,
    alpha,
  } as const;
  const layers = startingLayers(byParts.adapter, options);
  const files = filesOf(dir);
  const warned = withWarnings(target, wholeWarnings(byParts.whole));
  return { dir, files, hash: hashOf(files), adapter, layers, saved, trained, target: warned };
}

/**
 * The settings that a run takes from its adapter. `defaults` stand where nothing else is set: they
 * continue the adapter's own training. `fixed` also override a recipe: its ranks and scale.
 */
export async function startingSettings(
  name: string,
  method: RunConfig["method"] | undefined,
  sources: Pick<Sources, "adapter">,
): Promise<{ readonly defaults: Layer["values"]; readonly fixed: Layer["values"] }> {
  const { adapter } = await openAdapter(name, "last", sources);
  const used = method ?? adapter.method;
  const fixed = isConverted(adapter, used)
    ? { method: used }
    : { method: used, alpha: alphaOf(adapter), initRank: largestRank(adapter) };
  if (adapter.method === "lora") return { defaults: { loraDropout: adapter.dropout }, fixed };
  const { dropout, targetRank, maskInterval, beta1, beta2, regOrthCoef } = adapter;
  const schedule = { targetRank, maskInterval, beta1, beta2, regOrthCoef };
  return { defaults: { loraDropout: dropout, ...schedule }, fixed };
}

// --- internal ---

/** Warns that adapters of these fused layers could not be split into their parts'. */
function wholeWarnings(paths: readonly string[]): readonly string[] {
  const [first] = paths;
  if (first === undefined) return [];
  const others = paths.length === 1 ? "" : ` and ${paths.length - 1} more`;
  return [
    `${first}${others} stays one adapter of a fused layer: columns of its B reach into several of the layer's parts, so that these get no ranks of their own`,
  ];
}

const withWarnings = (
  target: StartingAdapter["target"],
  more: readonly string[],
): StartingAdapter["target"] => ({
  ...target,
  diagnostics: {
    ...target.diagnostics,
    warnings: [...target.diagnostics.warnings, ...more],
  },
});

/** Requires a method that can train the adapter, and no option that contradicts it. */
function checkFixed(config: RunConfig, adapter: PeftAdapter): void {
  const { method, modules, start, initRank, alpha, fromPruned } = config;
  const refuse = (option: string, hint: string) => errors.unusable(option, "--from", hint);
  if (adapter.method === "adalora" && !isOneOf(method, svdMethods)) {
    const hint = `the adapter is an AdaLoRA: use --method ${svdMethods.join(" or ")}`;
    throw refuse(`--method ${method}`, hint);
  }
  if (adapter.method === "lora" && fromPruned !== null) {
    throw refuse(`--from-pruned ${fromPruned}`, "the adapter is a LoRA: nothing in it was pruned");
  }
  if (modules !== null) throw refuse("--modules", "the adapter has its own layers");
  if (start !== null) throw refuse(`--start ${start}`, "the adapter's values are the start");
  if (isConverted(adapter, method)) return;
  const rank = largestRank(adapter);
  if (initRank !== null && initRank !== rank) {
    throw refuse(`--init-rank ${initRank}`, `the adapter's initial rank is ${rank}`);
  }
  if (alpha !== alphaOf(adapter)) {
    throw refuse(`--alpha ${alpha}`, `the adapter's scale is alpha ${alphaOf(adapter)} / ${rank}`);
  }
}

/** The initial rank of an AdaLoRA, or the largest rank of a LoRA. */
function largestRank(adapter: PeftAdapter): number {
  if (adapter.method === "adalora") return adapter.initRank;
  return adapter.modules.reduce((most, { A }) => Math.max(most, A.shape[0] ?? 0), 0);
}

/** An adapter's alpha; of a LoRA with several, that of its first layer. */
const alphaOf = (adapter: PeftAdapter): number =>
  adapter.method === "adalora" ? adapter.alpha : (adapter.modules[0]?.alpha ?? 0);

function filesOf(dir: string): readonly string[] {
  const folder = currentDirectory(dir);
  const names = [ADAPTER_CONFIG, ADAPTER_WEIGHTS, OLD_ADAPTER_WEIGHTS];
  const [config, ...weights] = names
    .map((name) => join(folder, name))
    .filter((path) => existsSync(path));
  return [config!, ...weights.slice(0, 1)];
}

function hashOf(files: readonly string[]): string {
  const hash = createHash("sha256");
  for (const file of files) {
    const mapped = openMapped(file);
    hash.update(createHash("sha256").update(mapped.view(0, mapped.size)).digest());
  }
  return hash.digest("hex");
}
