import { invariant } from "../../core/errors.ts";
import type { Sources } from "../../core/model/model-files.ts";
import type { FlagValue } from "../args.ts";
import type { OutOptions } from "../out-folder.ts";
import { requestedRun } from "../run-config.ts";
import { type Axis, isRange } from "./axes.ts";
import { choicesOf } from "./choices.ts";
import type { RequestedChoice } from "./plan-sweep.ts";

/** What the configurations of a sweep are made of. */
export interface ChoiceSources {
  /** The recipe or file, as `run` takes it. */
  readonly name: string | undefined;
  readonly fixed: ReadonlyMap<string, FlagValue>;
  readonly axes: readonly Axis[];
  readonly options: OutOptions & { readonly random: number | null };
  readonly sources: Sources;
}

/** The configurations of a sweep, with notes on their interpretation, and warnings. */
export interface RequestedChoices {
  readonly choices: readonly [RequestedChoice, ...RequestedChoice[]];
  readonly notes: ReadonlySet<string>;
  readonly warnings: readonly string[];
}

/**
 * Resolves each configuration as `run` resolves its command line. --random draws them by the seed
 * that they share, a flag's or a file's. Throws as choicesOf and requestedRun do.
 */
export async function requestedChoices(request: ChoiceSources): Promise<RequestedChoices> {
  const { axes, options } = request;
  const { random } = options;
  // A grid needs no seed.
  const seed = random === null ? 0 : (await resolved(request, firstValue)).config.seed;
  const notes = new Set<string>();
  const all: RequestedChoice[] = [];
  for (const choice of choicesOf(axes, { random, seed })) {
    const found = await resolved(request, ({ setting }) => choice.values.get(setting)?.value);
    for (const note of found.notes) notes.add(note);
    all.push({ choice, config: found.config });
  }
  const [first, ...others] = all;
  invariant(first !== undefined, "a sweep has a configuration");
  const warnings =
    random !== null && all.length < random
      ? [`--random ${random} found only ${all.length} different configurations`]
      : [];
  return { choices: [first, ...others], notes, warnings };
}

// --- internal ---

/** The run with these values of the axes. */
function resolved(
  { name, fixed, axes, options, sources }: ChoiceSources,
  valueOf: (axis: Axis) => unknown,
) {
  const swept = axes.map(
    (axis) => [axis.setting, { flag: axis.flag, value: valueOf(axis) }] as const,
  );
  return requestedRun(name, new Map<string, FlagValue>([...fixed, ...swept]), options, sources);
}

function firstValue({ parts: [first] }: Axis): unknown {
  invariant(first, "an axis has a value");
  return isRange(first) ? first.low : first.value;
}
