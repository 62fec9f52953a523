import type { Layer } from "../core/config/run-config.ts";

/** Optimizer steps of each unchanged recipe. Recipes whose phases are percentages need no entry. */
const recipeSteps: Readonly<Record<string, number>> = {
  cola: 6_700,
  sst2: 50_520,
  mrpc: 3_450,
  qqp: 56_855,
  mnli: 85_904,
  qnli: 16_370,
  rte: 3_900,
  stsb: 4_500,
  squad: 55_300,
  squad_v2: 98_900,
  xsum: 79_725,
  cnn_dailymail: 134_595,
};

/**
 * Scales a recipe's phases, which are numbers of steps, to a run that flags make longer or shorter:
 * each phase keeps its share, so that `adalora run rte --max-steps 100` is the paper's schedule in
 * miniature. Flags that set a phase override it. A shorter run prunes as many times, since the mask
 * interval shrinks with it.
 */
export function scaledRecipe(name: string, recipe: Layer, flags: Layer): Layer {
  const steps = recipeSteps[name];
  const isResized = flags.values.maxSteps !== undefined || flags.values.epochs !== undefined;
  if (steps === undefined || !isResized) return recipe;
  const {
    initWarmup: _i,
    finalWarmup: _f,
    warmupSteps: _w,
    maskInterval: _m,
    ...rest
  } = recipe.values;
  const phases = relativePhases(recipe.values, steps, lengthOf(recipe, flags, steps));
  return { ...recipe, values: { ...rest, ...phases } };
}

/** Settings that place a run's phases. */
type Phases = Pick<
  Layer["values"],
  "initWarmup" | "finalWarmup" | "warmupSteps" | "warmupRatio" | "maskInterval"
>;

/**
 * The phases of a run of `steps` as shares of its length. A run of `share` of that length, at most
 * 1, prunes as many times, since the mask interval shrinks with it.
 */
export function relativePhases(
  { initWarmup, finalWarmup, warmupSteps, maskInterval }: Phases,
  steps: number,
  share: number,
): Omit<Phases, "warmupSteps"> {
  const percent = (span: typeof initWarmup) =>
    typeof span === "number" ? (`${100 * (span / steps)}%` as const) : span;
  const phases = { initWarmup: percent(initWarmup), finalWarmup: percent(finalWarmup) };
  const given = Object.fromEntries(Object.entries(phases).filter(([, span]) => span !== undefined));
  const warmup = typeof warmupSteps === "number" ? { warmupRatio: warmupSteps / steps } : {};
  const interval =
    maskInterval === undefined
      ? {}
      : { maskInterval: Math.max(1, Math.round(maskInterval * share)) };
  return { ...given, ...warmup, ...interval };
}

// --- internal ---

/** A run's length relative to its recipe's, at most 1. */
function lengthOf(recipe: Layer, { values: { maxSteps, epochs } }: Layer, steps: number): number {
  const share = maxSteps ? maxSteps / steps : (epochs ?? 1) / (recipe.values.epochs ?? 1);
  return Math.min(1, share);
}
