import { numberText } from "./charts/chart.ts";
import { html, type Markup } from "./html.ts";

/** A metric in a table; a dash where there is none. */
export const cell = (value: number | undefined) => (value === undefined ? "–" : numberText(value));

/** The parts of a table. */
export interface TableParts {
  /** Its class in the page's style. */
  readonly kind?: "wide" | "many" | "confusion";
  readonly caption?: Markup;
  /** The header's cells, after the column of the rows' names. */
  readonly head: readonly Markup[];
  readonly rows: readonly Markup[];
}

/** A table by its name, that scrolls in a narrow window, by keyboard too; `of`: what its rows are. */
export const table = (name: string, of: string, { kind, caption, head, rows }: TableParts) =>
  html`<div class="scroll" role="region" aria-label="${name}" tabindex="0">
    <table${kind === undefined ? "" : html` class="${kind}"`}>
      ${caption}
      <thead>
        <tr>
          <th scope="col">${of}</th>
          ${head}
        </tr>
      </thead>
      <tbody>
        ${rows}
      </tbody>
    </table>
  </div>`;

/** The head of a column. */
export const column = (name: string): Markup => html`<th scope="col">${name}</th>`;

/** Facts by name, in columns where there is room. */
export const factList = (facts: readonly (readonly [string, string])[]): Markup =>
  html`<dl class="facts">
    ${facts.map(
      ([name, value]) =>
        html`<div>
          <dt>${name}</dt>
          <dd>${value}</dd>
        </div>`,
    )}
  </dl>`;

/** "252 MiB"; "unknown" without a number. */
export const bytesText = (bytes: number | undefined): string =>
  bytes === undefined ? "unknown" : `${Math.round(bytes / 2 ** 20)} MiB`;
