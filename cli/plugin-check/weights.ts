import { AdaloraError } from "../../core/errors.ts";
import { shownShape } from "../../core/excerpt.ts";
import { matchWeights } from "../../core/model/load-weights.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { type ShapeMismatch, type WeightUse, weightUse } from "../../core/model/weight-use.ts";
import { nearest } from "../../core/nearest.ts";
import { counted, findings, listed, type PluginFinding } from "./finding.ts";
import type { CheckedFolder, TaskModel } from "./open-folder.ts";

const { ok, fail, warn } = findings("weights");

/** Checks that every key of the checkpoint fills a parameter or is ignored, for every task. */
export function checkWeights(plugin: ModelPlugin, folder: CheckedFolder): PluginFinding[] {
  const { models, tensors } = folder;
  const uses = models.map((model) => ({
    model,
    use: weightUse(model.tree, tensors, plugin.weights),
  }));
  const wrong = [
    ...grouped(uses, ({ use }) => use.unmapped, unmapped),
    ...grouped(uses, ({ use }) => use.missing, missing),
    ...grouped(uses, ({ use }) => use.doubled, doubled),
    ...grouped(uses, mismatchLines(plugin), mismatched),
  ];
  if (wrong.length === 0) wrong.push(...refusedByLoading(plugin, folder));
  const mapped = new Set(uses.flatMap(({ use }) => use.mapped)).size;
  const fine = ok(
    `${counted(tensors.size, "key")}: ${mapped} mapped to parameters, ${tensors.size - mapped} ignored`,
  );
  return [...(wrong.length > 0 ? wrong : [fine]), ...unusedRules(plugin, uses)];
}

// --- internal ---

interface TaskUse {
  readonly model: TaskModel;
  readonly use: WeightUse;
}

const them = (names: readonly string[]) => (names.length === 1 ? "it" : "them");

/** One finding per distinct list of names, with the tasks that have it unless all have. */
function grouped(
  uses: readonly TaskUse[],
  namesOf: (use: TaskUse) => readonly string[],
  finding: (names: readonly string[], forTasks: string, use: TaskUse) => PluginFinding,
): PluginFinding[] {
  const groups = new Map<string, TaskUse[]>();
  for (const use of uses) {
    const key = namesOf(use).join("\n");
    if (key !== "") groups.set(key, [...(groups.get(key) ?? []), use]);
  }
  return [...groups.values()].flatMap((group) => {
    const [first] = group;
    if (!first) return [];
    const tasks = group.map(({ model }) => model.task).join(", ");
    return finding(namesOf(first), group.length === uses.length ? "" : ` (${tasks})`, first);
  });
}

function unmapped(keys: readonly string[], forTasks: string, { use, model }: TaskUse) {
  const [key = ""] = keys;
  const guess = nearest(key, use.missing);
  const declared = [...model.tree.parameters.keys()].slice(0, 1).join("");
  const hint =
    guess === undefined
      ? `weights.ignore if the model does not compute with them; weights.rename if a parameter has another name (such as ${declared}); otherwise declare them in build`
      : `${guess} has no key: a rule in weights.rename, or its name in build`;
  const some = counted(keys.length, "key", "maps");
  const rule = `${some} to no parameter, and no rule ignores ${them(keys)}`;
  return fail(`${rule}${forTasks}: ${listed(keys)}`, hint);
}

function missing(names: readonly string[], forTasks: string) {
  const hint =
    "weights.rename if the checkpoint has them under other keys; weights.optional if a pretrained checkpoint lacks them, as it does a head";
  const some = counted(names.length, "parameter", "has");
  const rule = `${some} no key, and no rule makes ${them(names)} optional`;
  return fail(`${rule}${forTasks}: ${listed(names)}`, hint);
}

function doubled(keys: readonly string[], forTasks: string) {
  const hint = "weights.copies if both hold the same values; weights.ignore for the one not needed";
  const rule = `${counted(keys.length, "key", "fills")} a parameter that an earlier key fills`;
  return fail(`${rule}${forTasks}: ${listed(keys)}`, hint);
}

function mismatched(lines: readonly string[], forTasks: string) {
  const transposed = lines.some((line) => line.endsWith("transposed"));
  const hint = transposed
    ? "weights are [out, in]: this checkpoint has [in, out], which the kit can't turn around: convert it, or declare the other order"
    : "declare the shape that the checkpoint has: see which value of config.json sets it";
  const rule = counted(lines.length, "shape", "disagrees");
  return fail(`${rule}${forTasks}: ${listed(lines, 3)}`, hint);
}

/**
 * Mismatches of shape, one line each. A head of a checkpoint that was trained for another number of
 * outputs is not the plugin's fault.
 */
const mismatchLines =
  (plugin: ModelPlugin) =>
  ({ model, use }: TaskUse): readonly string[] => {
    const isOtherHead = ({ parameter, expected, found }: ShapeMismatch) =>
      plugin.weights.optional.some((pattern) => pattern.test(parameter)) &&
      expected[0] === model.labels &&
      found.length === expected.length &&
      found.slice(1).every((size, i) => size === expected[i + 1]);
    return use.mismatches.filter((mismatch) => !isOtherHead(mismatch)).map(mismatchLine);
  };

function mismatchLine({ key, parameter, expected, found }: ShapeMismatch): string {
  const as = key === parameter ? "" : ` (for ${parameter})`;
  const isTransposed =
    expected.length === 2 &&
    expected[0] !== expected[1] &&
    expected[0] === found[1] &&
    expected[1] === found[0];
  const text = `${key}${as} is ${shownShape(found)}, declared ${shownShape(expected)}`;
  return isTransposed ? `${text}, transposed` : text;
}

/** What loading itself refuses beyond these findings: copies with values of their own. */
function refusedByLoading(plugin: ModelPlugin, { models, tensors, dir }: CheckedFolder) {
  const [model] = models;
  if (!model) return [];
  const heads = [...model.tree.parameters.keys()].filter((name) =>
    plugin.weights.optional.some((pattern) => pattern.test(name)),
  );
  try {
    matchWeights(model.tree, tensors, plugin, dir, new Set(heads));
    return [];
  } catch (error) {
    if (!(error instanceof AdaloraError)) throw error;
    return [fail(error.message, error.hint)];
  }
}

/** Rules without effect on this checkpoint: needed for others, or out of date. */
function unusedRules({ weights }: ModelPlugin, uses: readonly TaskUse[]): PluginFinding[] {
  const used = new Set(uses.flatMap(({ use }) => [...use.used]));
  const lists = [
    ["rename", weights.rename.map(([from]) => from)],
    ["copies", (weights.copies ?? []).map(([from]) => from)],
    ["ignore", weights.ignore],
    ["optional", weights.optional],
  ] as const;
  const unused = lists.flatMap(([list, patterns]) =>
    patterns
      .filter((pattern) => !used.has(pattern))
      .map((pattern) => `weights.${list} ${String(pattern)}`),
  );
  if (unused.length === 0) return [];
  const rule = `${counted(unused.length, "rule", "matches")} nothing here: ${listed(unused)}`;
  return [warn(rule, "remove those that no checkpoint of the family needs")];
}
