import type { JsonObject } from "../../core/io/json-file.ts";
import { html, type Markup } from "./html.ts";
import type { ReportedRun } from "./read-run.ts";
import { bytesText, factList, table } from "./table-parts.ts";
import { valueText } from "./value-text.ts";

/** The settings of one run, in columns. */
export function configList({ config }: ReportedRun): Markup {
  return factList(Object.entries(config).map(([key, value]) => [key, valueText(value)]));
}

/** The settings of the runs; what differs comes first. */
export function configTable(runs: readonly ReportedRun[]): Markup {
  return factTable(
    "Configuration",
    "setting",
    runs.map(({ name, config }) => ({ name, facts: config })),
  );
}

/** Versions and machine of the runs, and the memory that they took. */
export function environmentFacts(runs: readonly ReportedRun[]): Markup {
  const all = runs.map(({ name, environment, result, folder }) => ({
    name,
    facts: {
      ...environment,
      ...(result && { "peak memory": bytesText(result.peakMemory.process) }),
      folder,
    },
  }));
  const [only, ...others] = all;
  if (!only || others.length > 0) return factTable("Environment", "what", all);
  return factList(Object.entries(only.facts).map(([key, value]) => [key, valueText(value)]));
}

// --- internal ---

/** More columns of runs than this are too narrow to read. */
const MOST_COLUMNS = 4;

interface NamedFacts {
  readonly name: string;
  readonly facts: JsonObject;
}

/**
 * Facts of several runs: a column a run. Of many runs, a row a run with what differs, and a list of
 * what they share.
 */
function factTable(title: string, of: string, runs: readonly NamedFacts[]): Markup {
  const textOf = ({ facts }: NamedFacts, key: string) => valueText(facts[key]);
  const keys = [...new Set(runs.flatMap(({ facts }) => Object.keys(facts)))];
  const differs = (key: string) => new Set(runs.map((run) => textOf(run, key))).size > 1;
  const [different, common] = [keys.filter(differs), keys.filter((key) => !differs(key))];
  if (runs.length > MOST_COLUMNS) {
    const rows = runs.map(
      (run) =>
        html`<tr>
          <th scope="row">${run.name}</th>
          ${different.map((key) => html`<td class="text">${textOf(run, key)}</td>`)}
        </tr>`,
    );
    const head = different.map((key) => html`<th scope="col" class="text">${key}</th>`);
    const shared = factList(common.map((key) => [key, textOf(runs[0]!, key)]));
    if (different.length === 0) return shared;
    return html`${table(`${title}: what differs`, "run", { kind: "many", head, rows })} ${shared}`;
  }
  const row = (key: string, isDifferent: boolean) =>
    html`<tr${isDifferent ? html` class="differs"` : ""}>
      <th scope="row">${key}${isDifferent ? html` <span class="tag">differs</span>` : ""}</th>
      ${runs.map((run) => html`<td class="text">${textOf(run, key)}</td>`)}
    </tr>`;
  const rows = [...different.map((key) => row(key, true)), ...common.map((key) => row(key, false))];
  const head = runs.map(({ name }) => html`<th scope="col" class="text">${name}</th>`);
  return table(title, of, { kind: "wide", head, rows });
}
