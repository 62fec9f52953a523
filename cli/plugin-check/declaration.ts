import { excerpt } from "../../core/excerpt.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { findings, listed, type PluginFinding } from "./finding.ts";

const { ok, fail } = findings("declaration");

/** Checks what the types of a plugin's fields can't express; loading a plugin checks the types. */
export function checkDeclaration(plugin: ModelPlugin): PluginFinding[] {
  const wrong = [...prefixFindings(plugin), ...repeatedNames(plugin)];
  if (wrong.length > 0) return wrong;
  return [ok(`${plugin.name}: ${plugin.tasks.join(", ")}`)];
}

// --- internal ---

function prefixFindings({ weights: { prefix } }: ModelPlugin): PluginFinding[] {
  if (prefix === "" || prefix.endsWith(".")) return [];
  const message = `weights.prefix must end with a dot, got ${excerpt(prefix)}`;
  return [fail(message, `write ${excerpt(`${prefix}.`)}: keys of a bare backbone lack all of it`)];
}

/** Lists in which a value stands twice. */
function repeatedNames({ modelTypes, tasks, adapters }: ModelPlugin): PluginFinding[] {
  const lists: Readonly<Record<string, readonly string[]>> = {
    modelTypes,
    tasks,
    "adapters.saved": adapters.saved,
  };
  return Object.entries(lists).flatMap(([path, names]) => {
    const twice = names.filter((name, i) => names.indexOf(name) !== i).map((name) => excerpt(name));
    return twice.length === 0
      ? []
      : [fail(`${path} names ${listed(twice)} more than once`, "remove the repeated names")];
  });
}
