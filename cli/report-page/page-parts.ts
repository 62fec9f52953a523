import packageJson from "../../package.json" with { type: "json" };
import type { PageData } from "./browser/page-data.ts";
import type { Chart } from "./charts/chart.ts";
import { html, Markup, scriptJson } from "./html.ts";
import { pageScript } from "./page-script.ts";
import style from "./page-style.txt" with { type: "text" };

/** Nothing is loaded from anywhere, and no text is run as a program. */
const POLICY =
  "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/** The parts of a page. */
export interface PageParts {
  readonly title: string;
  readonly header: Markup;
  /** The content of the main element; its first heading has the id "result". */
  readonly sections: readonly (Markup | undefined)[];
  /** What the page was made from and by which command. */
  readonly footer: Markup;
  readonly data: PageData;
}

/**
 * A whole page: one HTML file with its style, its script and the libraries that draw its charts.
 */
export function pageOf({ title, header, sections, footer, data }: PageParts): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta http-equiv="Content-Security-Policy" content="${POLICY}" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="generator" content="adalora ${packageJson.version}" />
        <link rel="icon" href="data:," />
        <title>${title}</title>
        <style>
          ${new Markup(style)}
        </style>
        <script>
          ${new Markup(THEME)};
        </script>
      </head>
      <body>
        <a class="skip" href="#result">Skip to the result</a>
        ${header}
        <main>${sections}</main>
        <footer>Made by adalora ${packageJson.version} ${footer}</footer>
        <script type="application/json" id="report-data">
          ${scriptJson(data)}
        </script>
        <script type="module">
          ${new Markup(pageScript())};
        </script>
      </body>
    </html> `.text;
}

/** A chart with its caption, and controls above it. */
export function figure(
  { id, title, about, label, isWide, height }: Chart,
  controls?: Markup,
): Markup {
  return html`<figure class="card${isWide === true ? " full" : ""}">
    <figcaption>
      <h3>${title}</h3>
      <p>${about}</p>
    </figcaption>
    ${controls}
    <div
      class="chart"
      id="chart-${id}"
      role="img"
      aria-label="${label}"
      style="min-height:${height}px"
    ></div>
  </figure>`;
}

/** A section of charts; undefined without any. */
export function chartSection(
  id: string,
  title: string,
  charts: readonly Chart[],
): Markup | undefined {
  if (charts.length === 0) return undefined;
  return html`<section aria-labelledby="${id}">
    <h2 id="${id}">${title}</h2>
    <div class="grid">${charts.map((chart) => figure(chart))}</div>
  </section>`;
}

/** The button that switches between light and dark. */
export const themeButton: Markup = html`<button class="theme" id="theme" type="button">
  Light / dark
</button>`;

/** Links to sections, by id and name. */
export const sectionLinks = (links: readonly (readonly [string, string])[]): Markup =>
  html`<nav aria-label="Sections">
    ${links.map(([id, name]) => html`<a href="#${id}">${name}</a>`)}
  </nav>`;

// --- internal ---

/** Before the page is painted: the system's theme, or the one chosen before. Print is light. */
const THEME = `
const root = document.documentElement, media = matchMedia("(prefers-color-scheme: dark)");
let chosen;
const apply = () => { root.dataset.theme = chosen ?? (media.matches ? "dark" : "light"); };
apply();
media.addEventListener("change", apply);
addEventListener("beforeprint", () => { root.dataset.theme = "light"; for (const one of document.querySelectorAll("details")) one.open = true; });
addEventListener("afterprint", apply);
addEventListener("DOMContentLoaded", () => document.querySelector("#theme")?.addEventListener("click", () => {
  chosen = root.dataset.theme === "dark" ? "light" : "dark";
  apply();
}));
`;
