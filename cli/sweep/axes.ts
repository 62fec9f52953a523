import { isSettingName, type SettingName } from "../../core/config/run-config.ts";
import type { Setting, SettingTable } from "../../core/config/setting.ts";
import type { FlagValue } from "../args.ts";
import { experimentSettings } from "../compare/experiment-settings.ts";
import { runSettings } from "../run-settings.ts";

/** One value of a swept setting. */
export interface AxisValue {
  /** As it was typed, or drawn from a range. */
  readonly text: string;
  readonly value: unknown;
}

/** Two numbers to draw between: "1e-4..1e-2". */
export interface AxisRange {
  readonly low: number;
  readonly high: number;
}

/** What a flag of `sweep` holds: values and ranges, in the order in which they were typed. */
export type AxisPart = AxisValue | AxisRange;

/** A setting that takes more than one value. */
export interface Axis {
  readonly setting: SettingName;
  /** Its flag, as it was typed. */
  readonly flag: string;
  readonly parts: readonly AxisPart[];
}

/** Settings that all configurations share, or whose own values hold commas. */
const shared: ReadonlySet<SettingName> = new Set<SettingName>([
  ...experimentSettings,
  "baseName",
  "sourcePrefix",
  "modules",
]);

/** Whether a part of an axis is a range. */
export const isRange = (part: AxisPart): part is AxisRange => "low" in part;

/** How `sweep` reads a setting's flag: as `run` does, or as several values of it. */
export function sweptSetting(name: SettingName): SettingTable[string] {
  const setting: Setting<unknown> = runSettings[name];
  if (!isSwept(name)) return setting;
  return {
    ...setting,
    hint: `${setting.hint},…`,
    want: `${setting.want}, or several separated by commas`,
    read: (raw) => partsIn(raw, setting),
  };
}

/** A command line's flags: those with one value, and the axes. */
export function splitAxes(given: ReadonlyMap<string, FlagValue>): {
  readonly fixed: ReadonlyMap<string, FlagValue>;
  readonly axes: readonly Axis[];
} {
  const fixed = new Map<string, FlagValue>();
  const axes: Axis[] = [];
  for (const [key, one] of given) {
    const parts = isSettingName(key) ? partsOf(key, one.value) : undefined;
    const [first, ...more] = parts ?? [];
    if (!isSettingName(key) || !parts || !first) fixed.set(key, one);
    else if (more.length > 0 || isRange(first)) axes.push({ setting: key, flag: one.flag, parts });
    else fixed.set(key, { ...one, value: first.value });
  }
  return { fixed, axes };
}

// --- internal ---

const isSwept = (key: string): key is SettingName =>
  isSettingName(key) && !shared.has(key) && runSettings[key].hint !== undefined;

/** The parts that `sweptSetting` has read; undefined for a flag that holds a plain value. */
function partsOf(key: SettingName, value: unknown): readonly AxisPart[] | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- sweptSetting's own
  return isSwept(key) ? (value as readonly AxisPart[]) : undefined;
}

function partsIn(raw: unknown, setting: Setting<unknown>): readonly AxisPart[] | undefined {
  if (typeof raw !== "string") return undefined;
  const parts = raw.split(",").map((word) => partIn(word.trim(), setting));
  const found = parts.filter((part) => part !== undefined);
  if (found.length < parts.length) return undefined;
  // 1e-3 and 0.001 are one value.
  const keys = found.map((part) => JSON.stringify(isRange(part) ? part : part.value));
  return found.filter((_, i) => keys.indexOf(keys[i]!) === i);
}

function partIn(word: string, setting: Setting<unknown>): AxisPart | undefined {
  const value = setting.read(word);
  if (value !== undefined) return { text: word, value };
  const [low, high] = (/^(.+)\.\.(.+)$/.exec(word)?.slice(1) ?? []).map((end) => setting.read(end));
  return typeof low === "number" && typeof high === "number" && low < high
    ? { low, high }
    : undefined;
}
