import type { Families, Family } from "../../core/model/families.ts";
import { printable } from "../printable.ts";

/** A family as `plugin list --json` shows it. */
export interface ListedFamily {
  readonly name: string;
  readonly model_types: readonly string[];
  readonly tasks: readonly string[];
  /** Names for --modules. */
  readonly modules: readonly string[];
  /** The plugin's file; null for a family of the program. */
  readonly file: string | null;
}

/** Every family with the model types that it handles, those that a plugin took over left out. */
export function listedFamilies(families: Families): readonly ListedFamily[] {
  return families.all.map((family) => ({
    name: family.plugin.name,
    model_types: family.plugin.modelTypes.filter((one) => families.familyOf(one) === family),
    tasks: family.plugin.tasks,
    modules: modulesOf(family),
    file: family.origin?.file ?? null,
  }));
}

/** The families as text, one paragraph each. */
export function familiesText(listed: readonly ListedFamily[]): string {
  return listed.map(familyText).join("\n\n");
}

// --- internal ---

/**
 * As `--modules` takes them; a family with prefixes has these names once in each part of a layer.
 */
const modulesOf = ({ plugin }: Family) => Object.keys(plugin.adapters.modules);

function familyText({ name, model_types: types, tasks, modules, file }: ListedFamily): string {
  const rows = [
    ["model types", types.length === 0 ? "none: a plugin handles them" : types.join(", ")],
    ["tasks", tasks.join(", ")],
    ["modules", modules.join(", ")],
    ["from", file ?? "adalora"],
  ];
  const lines = rows.map(([label = "", text = ""]) => `  ${label.padEnd(12)} ${printable(text)}`);
  return [printable(name), ...lines].join("\n");
}
