import type { SettingName } from "../../core/config/run-config.ts";
import { type RandomInt, randomInts } from "../../core/data/shuffle.ts";
import { errors } from "../../core/errors.ts";
import { streamOf } from "../../core/rng.ts";
import { kebab } from "../names.ts";
import { runSettings } from "../run-settings.ts";
import { type Axis, type AxisPart, type AxisValue, isRange } from "./axes.ts";

/** The value that one configuration takes on each axis. */
export interface Choice {
  /** "lr=1e-3 budget=0.32M", in the order of the axes. */
  readonly name: string;
  readonly values: ReadonlyMap<SettingName, AxisValue>;
}

/** A larger grid is probably a mistake; --random draws from it. */
const LARGEST_GRID = 1000;

/**
 * The configurations of a sweep: every combination of the axes' values, or `random` of them, drawn
 * by `seed` without repetition. A range is drawn uniformly in its logarithm where both ends are
 * above 0. Throws E_FLAG for a range in a grid, and for a grid of more than 1000 configurations.
 */
export function choicesOf(
  axes: readonly Axis[],
  { random, seed }: { readonly random: number | null; readonly seed: number },
): readonly Choice[] {
  const ranged = axes.find(({ parts }) => parts.some(isRange));
  if (random === null && ranged) {
    throw errors.flag(ranged.flag.replace(/^--/, ""), "a range needs --random N");
  }
  const size = axes.reduce((product, { parts }) => product * parts.length, 1);
  if (random === null || (!ranged && random >= size)) {
    if (size <= LARGEST_GRID) return grid(axes);
    const many = size.toLocaleString("en-US");
    throw errors.flag("random", `a grid of ${many} configurations: give --random N to draw some`);
  }
  return drawn(axes, random, randomInts(seed, 0, streamOf("sweep")));
}

// --- internal ---

function grid(axes: readonly Axis[]): readonly Choice[] {
  let all: (readonly AxisValue[])[] = [[]];
  for (const { parts } of axes) {
    const values = parts.filter((part): part is AxisValue => !isRange(part));
    all = all.flatMap((chosen) => values.map((value) => [...chosen, value]));
  }
  return all.map((values) => choiceOf(axes, values));
}

function drawn(axes: readonly Axis[], count: number, draw: RandomInt): readonly Choice[] {
  const found = new Map<string, Choice>();
  // A narrow range of whole numbers may hold fewer than `count` configurations.
  for (let tries = 0; found.size < count && tries < 100 * count; tries++) {
    const values = axes.map((axis) => valueIn(axis, axis.parts[draw(axis.parts.length)]!, draw));
    const choice = choiceOf(axes, values);
    found.set(choice.name, choice);
  }
  return [...found.values()];
}

const choiceOf = (axes: readonly Axis[], values: readonly AxisValue[]): Choice => ({
  name: axes.map(({ setting }, i) => `${kebab(setting)}=${values[i]!.text}`).join(" "),
  values: new Map(axes.map(({ setting }, i) => [setting, values[i]!])),
});

/** A value of an axis; of a range with three significant digits, or the nearest whole number. */
function valueIn({ setting }: Axis, part: AxisPart, draw: RandomInt): AxisValue {
  if (!isRange(part)) return part;
  const { low, high } = part;
  const share = draw(2 ** 32) / 2 ** 32;
  const number = low > 0 ? low * (high / low) ** share : low + share * (high - low);
  for (const rounded of [Number(number.toPrecision(3)), Math.round(number)]) {
    const value = runSettings[setting].read(rounded);
    if (value !== undefined) return { text: String(rounded), value };
  }
  return { text: String(low), value: low };
}
