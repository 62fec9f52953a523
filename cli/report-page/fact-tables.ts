import type { JsonObject } from "../../core/io/json-file.ts";
import { html, type Markup } from "./html.ts";
import type { ReportedRun } from "./read-run.ts";
import { bytesText, factList, table } from "./table-parts.ts";
import { valueText } from "./value-text.ts";

/** The settings of one run, in columns. */
export function configList({ config }: ReportedRun): Markup {
  return factList(Object.keys(config).map((key) => [key, settingText(config, key)]));
}

/** The settings of the runs; what differs comes first and is marked. */
export function configTable(runs: readonly ReportedRun[]): Markup {
  const keys = [...new Set(runs.flatMap(({ config }) => Object.keys(config)))];
  const differs = (key: string) =>
    new Set(runs.map(({ config }) => settingText(config, key))).size > 1;
  const ordered = [...keys.filter(differs), ...keys.filter((key) => !differs(key))];
  const rows = ordered.map(
    (key) =>
      html`<tr${differs(key) ? html` class="differs"` : ""}>
      <th scope="row">${key}${differs(key) ? html` <span class="tag">differs</span>` : ""}</th>
      ${runs.map(({ config }) => html`<td class="text">${settingText(config, key)}</td>`)}
    </tr>`,
  );
  return table("Configuration", "setting", { kind: "wide", head: namesOf(runs), rows });
}

/** Versions and machine of the runs, and the memory that they took. */
export function environmentFacts(runs: readonly ReportedRun[]): Markup {
  const facts = runs.map(({ environment, result, folder }): JsonObject => ({
    ...environment,
    ...(result && { "peak memory": bytesText(result.peakMemory.process) }),
    folder,
  }));
  const keys = [...new Set(facts.flatMap((one) => Object.keys(one)))];
  const [only, ...others] = facts;
  if (only && others.length === 0) return factList(keys.map((key) => [key, valueText(only[key])]));
  const rows = keys.map(
    (key) =>
      html`<tr>
        <th scope="row">${key}</th>
        ${facts.map((one) => html`<td class="text">${valueText(one[key])}</td>`)}
      </tr>`,
  );
  return table("Environment", "what", { kind: "wide", head: namesOf(runs), rows });
}

// --- internal ---

const namesOf = (runs: readonly ReportedRun[]) =>
  runs.map(({ name }) => html`<th scope="col" class="text">${name}</th>`);

const settingText = (config: JsonObject, key: string) => valueText(config[key]);
