import { numberText } from "./charts/chart.ts";
import { html, type Markup } from "./html.ts";

/** A metric in a table; a dash where there is none. */
export const cell = (value: number | undefined) => (value === undefined ? "–" : numberText(value));

/** A table that scrolls in a narrow window, by keyboard too. */
export const scrolled = (name: string, table: Markup): Markup =>
  html`<div class="scroll" role="region" aria-label="${name}" tabindex="0">${table}</div>`;

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
