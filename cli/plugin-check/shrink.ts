import type { JsonObject } from "../../core/io/json-file.ts";
import { declareModel } from "../../core/model/open-model.ts";
import type { ModelPlugin } from "../../core/model/plugin.ts";
import { shrunkConfigs } from "../../core/model/shrink-config.ts";
import { examplesFor } from "./examples.ts";
import { findings, type PluginFinding } from "./finding.ts";
import type { SubjectSource } from "./subject.ts";

/** What shrinking found; `subject` is undefined where the family refuses every config. */
export interface ShrinkCheck {
  readonly finding: PluginFinding;
  readonly subject: SubjectSource | undefined;
}

/** Most parameters of a model that the reference backend can check in a minute. */
const MOST_PARAMETERS = 2e6;

/**
 * Builds a small model of the family from config.json: the first shrunken config that it accepts.
 */
export function shrink(plugin: ModelPlugin, rawConfig: JsonObject): ShrinkCheck {
  const { ok, skip } = findings("shrinking");
  const refused: string[] = [];
  for (const { about, raw } of shrunkConfigs(rawConfig)) {
    try {
      const quiet = withoutDropout(raw);
      const config = plugin.parseConfig(quiet);
      const { vocabSize } = plugin.limits(config);
      const sizes = plugin.tasks.map((task) => {
        const { tree } = declareModel(plugin, config, {
          task,
          labels: task === "regression" ? 1 : 2,
        });
        return [...tree.parameters.values()].reduce((sum, { length }) => sum + length, 0);
      });
      const largest = Math.max(...sizes);
      if (largest > MOST_PARAMETERS) throw new Error(`${largest} parameters are too many`);
      const segments = Number(raw["type_vocab_size"] ?? 0);
      const examples = examplesFor(vocabSize, segments);
      const subject = { plugin, config, examples, typed: segments > 1 };
      const others = refused.length === 0 ? "" : `; refused: ${refused.join("; ")}`;
      return { finding: ok(`the checks below run on ${about}${others}`), subject };
    } catch (error) {
      refused.push(`${about} (${error instanceof Error ? error.message : String(error)})`);
    }
  }
  return {
    finding: skip(`no small model of the family could be built: ${refused.join("; ")}`),
    subject: undefined,
  };
}

// --- internal ---

/** The config with every dropout probability 0: the checks set their own through the head. */
function withoutDropout(raw: JsonObject): JsonObject {
  const isDropout = (key: string, value: unknown) =>
    /drop/.test(key) && typeof value === "number" && value > 0;
  return Object.fromEntries(
    Object.entries(raw).map(([key, value]) => [key, isDropout(key, value) ? 0 : value]),
  );
}
