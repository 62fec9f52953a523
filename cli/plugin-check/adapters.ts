import { nameInLayer } from "../../core/model/select-linears.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { counted, findings, listed, type PluginFinding } from "./finding.ts";
import type { CheckedFolder, TaskModel } from "./open-folder.ts";

const { ok, fail, warn } = findings("adapters");

/** Checks the patterns of `adapters` on the model of every task. */
export function checkAdapters(plugin: ModelPlugin, { models }: CheckedFolder): PluginFinding[] {
  const paths = unique(models.flatMap(({ tree }) => [...tree.adaptable.keys()]));
  const names = unique(models.flatMap(({ tree }) => [...tree.parameters.keys()]));
  const wrong = [
    ...unmatchedNames(plugin, models),
    ...ambiguousLinears(plugin, paths),
    ...repeatedInLayer(plugin, models),
    ...adaptedHeads(plugin, paths),
    ...unmatchedHeads(plugin, names),
    ...savedHeads(plugin, names),
    ...untrainedOptional(plugin, models),
  ];
  const isAdapted = (path: string) => shortNames(plugin, path).length > 0;
  const others = paths.filter((path) => !isAdapted(path));
  const rest = others.length === 0 ? "" : `; without a short name: ${listed(others)}`;
  const reached = `${paths.length - others.length} of ${counted(paths.length, "linear layer")}`;
  const fine = ok(`${Object.keys(plugin.adapters.modules).join(", ")}: ${reached}${rest}`);
  return [...(wrong.length > 0 ? wrong : [fine]), ...unusedPrefixes(plugin, paths)];
}

// --- internal ---

const unique = <T>(values: readonly T[]): readonly T[] => [...new Set(values)];

const shortNames = ({ adapters }: ModelPlugin, path: string) =>
  Object.entries(adapters.modules)
    .filter(([, pattern]) => pattern.test(path))
    .map(([short]) => short);

/** Patterns of short names that match nothing, by task; the same one of several tasks is reported once. */
function unmatchedNames({ adapters }: ModelPlugin, models: readonly TaskModel[]): PluginFinding[] {
  const seen = new Set<string>();
  return models.flatMap(({ tree, task }) => {
    const paths = [...tree.adaptable.keys()];
    const idle = Object.entries(adapters.modules).filter(
      ([short, pattern]) => !seen.has(short) && !paths.some((path) => pattern.test(path)),
    );
    const [first] = idle;
    if (!first) return [];
    for (const [short] of idle) seen.add(short);
    const names = idle.map(([short, pattern]) => `${short} (${String(pattern)})`);
    const isParameter = [...tree.parameters.keys()].some((name) => first[1].test(name));
    const path = paths.slice(0, 3).join(", ");
    const hint = isParameter
      ? `a pattern is matched with a layer's path, such as ${paths[0]}, not with its weight's name`
      : `linear layers have paths such as ${path}`;
    const some = counted(idle.length, "pattern", "matches");
    const rule = `${some} no linear layer of the model for ${task}`;
    const message = `adapters.modules: ${rule}: ${listed(names)}`;
    return [fail(message, hint)];
  });
}

function ambiguousLinears(plugin: ModelPlugin, paths: readonly string[]) {
  const [path, ...more] = paths.filter((one) => shortNames(plugin, one).length > 1);
  if (path === undefined) return [];
  const names = shortNames(plugin, path).join(" and ");
  const others = more.length === 0 ? "" : ` (and ${counted(more.length, "other layer")})`;
  const hint = "narrow a pattern in adapters.modules, so that each layer has one short name";
  return [fail(`${path} matches both ${names}${others}`, hint)];
}

/** Two linears of a layer that reports would show under one name. */
function repeatedInLayer(plugin: ModelPlugin, models: readonly TaskModel[]) {
  const seen = new Map<string, string>();
  for (const path of unique(models.flatMap(({ tree }) => [...tree.adaptable.keys()]))) {
    if (shortNames(plugin, path).length !== 1) continue;
    const name = path.replace(/(\.\d+\.).*/, `$1${nameInLayer(path, plugin)}`);
    const other = seen.get(name);
    if (other !== undefined) {
      const short = nameInLayer(path, plugin);
      const message = `${other} and ${path} are both called ${short}`;
      const hint = "give them short names of their own, or tell them apart in adapters.prefixes";
      return [fail(message, hint)];
    }
    seen.set(name, path);
  }
  return [];
}

function adaptedHeads(plugin: ModelPlugin, paths: readonly string[]) {
  const both = paths.filter(
    (path) =>
      shortNames(plugin, path).length > 0 &&
      plugin.adapters.trainable.some((pattern) => pattern.test(`${path}.weight`)),
  );
  if (both.length === 0) return [];
  const hint = "narrow the pattern in adapters.modules: a head has no adapter beside it";
  return [fail(`both adapted and trained in full: ${listed(both)}`, hint)];
}

function unmatchedHeads({ adapters }: ModelPlugin, names: readonly string[]) {
  const idle = adapters.trainable.filter((pattern) => !names.some((name) => pattern.test(name)));
  if (idle.length === 0) return [];
  const hint = `parameters have names such as ${names.slice(-3).join(", ")}`;
  return [fail(`adapters.trainable ${listed(idle.map(String))} matches no parameter`, hint)];
}

/** PEFT finds a saved head by the last parts of its module's path. */
function savedHeads({ adapters }: ModelPlugin, names: readonly string[]): PluginFinding[] {
  const isTrained = (name: string) => adapters.trainable.some((pattern) => pattern.test(name));
  const trained = names.filter(isTrained);
  const isIn = (head: string) => (name: string) => `.${name}.`.includes(`.${head}.`);
  const { saved } = adapters;
  const unknown = saved.filter((head) => !trained.some(isIn(head)));
  const lacking = trained.filter((name) => !saved.some((head) => isIn(head)(name)));
  const modulesOf = (some: readonly string[]) =>
    listed(unique(some.map((name) => name.replace(/\.[^.]+$/, ""))));
  return [
    ...(unknown.length === 0
      ? []
      : [
          fail(
            `adapters.saved names ${listed(unknown)}, which no pattern of adapters.trainable matches`,
            `remove it, or train it; trained in full: ${modulesOf(trained) || "nothing"}`,
          ),
        ]),
    ...(lacking.length === 0
      ? []
      : [
          fail(
            `adapters.saved lacks ${modulesOf(lacking)}, which adapters.trainable trains`,
            "add it: PEFT's modules_to_save lists the heads that an adapter file holds",
          ),
        ]),
  ];
}

/** What a checkpoint may lack and no method trains would stay random. */
function untrainedOptional({ weights, adapters }: ModelPlugin, models: readonly TaskModel[]) {
  const random = models.flatMap(({ tree }) =>
    [...tree.parameters.values()]
      .filter(({ constant }) => !constant)
      .map(({ name }) => name)
      .filter((name) => weights.optional.some((pattern) => pattern.test(name)))
      .filter((name) => !adapters.trainable.some((pattern) => pattern.test(name))),
  );
  if (random.length === 0) return [];
  const message = `optional in weights, but not in adapters.trainable: ${listed(unique(random))}`;
  const hint =
    "a checkpoint that lacks them would leave them random and untrained: train them, require them, or declare them with scope.constant";
  return [fail(message, hint)];
}

function unusedPrefixes({ adapters }: ModelPlugin, paths: readonly string[]): PluginFinding[] {
  const unused = Object.entries(adapters.prefixes)
    .filter(([, pattern]) => !paths.some((path) => pattern.test(path)))
    .map(([prefix]) => `"${prefix}"`);
  if (unused.length === 0) return [];
  return [warn(`adapters.prefixes ${listed(unused)} matches no linear layer`, "remove it")];
}
