import { afterAll, beforeAll } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { checkPlugin } from "../../../cli/plugin-check/check-plugin.ts";
import type { ModelPlugin } from "../../../core/kit/kit.ts";
import { guardedPlugin } from "../../../core/model/guard-plugin.ts";
import { smallPlugin, type Steps, writeSmall } from "./small-plugin.ts";

/** The small plugin of the tests, in which each test breaks one thing. */
export const right = smallPlugin();
/** What the small plugin's parseConfig returns. */
export type Config = Parameters<typeof right.limits>[0];

/** The small plugin with other rules for weights. */
export const withWeights = (weights: Partial<ModelPlugin["weights"]>) => ({
  ...right,
  weights: { ...right.weights, ...weights },
});

/** The small plugin with other adapters. */
export const withAdapters = (adapters: Partial<ModelPlugin["adapters"]>) => ({
  ...right,
  adapters: { ...right.adapters, ...adapters },
});

/** The small plugin with other steps of its forward pass. */
export const withSteps = (steps: Partial<Steps>) => smallPlugin(steps);

/** Checks plugins of `testFile` on a folder of the small model, which is removed afterwards. */
export function pluginChecks(testFile: string) {
  const folder = mkdtempSync(join(tmpdir(), "plugin-check-"));
  beforeAll(() => writeSmall(folder));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const files = [testFile, join(import.meta.dir, "small-plugin.ts")];
  const origin = { file: testFile, files, digest: "" };

  /** The failures and warnings of a plugin, one line each. */
  async function complaints(plugin: ModelPlugin, dir = folder): Promise<string> {
    const found = await checkPlugin(guardedPlugin(plugin, origin), dir, { origin });
    const lines = found
      .filter(({ level }) => level === "fail" || level === "warn")
      .map(({ check, level, message, hint, where }) => {
        const place = where === undefined ? "" : `\n  at ${where}`;
        return `${level} ${check}: ${message}${place}\n  change: ${hint ?? "-"}`;
      });
    const text = lines.join("\n").replaceAll(dir, "MODEL");
    return text.replaceAll(/[\w/.-]*\/([\w-]+(\.test)?\.ts):\d+(:\d+)?/g, "$1:LINE");
  }
  return { folder, complaints };
}
