// What runs in the report's page: draws the charts by Vega and moves the heat map. page-script.ts
// puts it behind the libraries, whose globals it uses.
import type * as Vega from "vega";
import type { expressionInterpreter as Interpreter } from "vega-interpreter";
import type * as VegaLite from "vega-lite";
import type { Frame, HeatMapRun, PageData } from "./page-data.ts";
import { CHART_WIDTH, type Panelled, sizedChart } from "./sized-chart.ts";

declare const vega: typeof Vega;
declare const vegaLite: typeof VegaLite;
declare const expressionInterpreter: typeof Interpreter;

const source = document.querySelector("#report-data")?.textContent ?? "{}";
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by page.ts
const data = JSON.parse(source) as PageData;
const views = new Map<string, Vega.View>();

/** Draws a chart as wide as its place, and again whenever that changes. */
async function draw(id: string, spec: Panelled): Promise<void> {
  const place = document.querySelector<HTMLElement>(`#chart-${id}`);
  if (!place) return;
  let width = widthOf(place);
  let view = await drawn(place, spec, width);
  views.set(id, view);
  let drawing = Promise.resolve(view);
  new ResizeObserver(() => {
    const now = widthOf(place);
    if (now === width || now === 0) return;
    width = now;
    const redraw = async () => {
      if (!spec.usermeta) return view.signal(CHART_WIDTH, now).width(now).resize().runAsync();
      view.finalize();
      view = await drawn(place, spec, now);
      views.set(id, view);
      return view;
    };
    drawing = drawing.then(redraw);
  }).observe(place);
}

async function drawn(place: HTMLElement, spec: Panelled, width: number): Promise<Vega.View> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- written by the chart's own file
  const whole = sizedChart(spec, width) as VegaLite.TopLevelSpec;
  const compiled = vegaLite.compile(whole).spec;
  // The page's policy forbids `eval`: expressions are interpreted.
  const options = { ast: true };
  const runtime = vega.parse(compiled, undefined, options);
  const view = new vega.View(runtime, { expr: expressionInterpreter, renderer: "svg" });
  await view.initialize(place).hover().runAsync();
  // Its place is an image with a label, and has no other content for a screen reader.
  place.querySelector("svg")?.setAttribute("aria-hidden", "true");
  return view;
}

const widthOf = (place: HTMLElement) => Math.floor(place.clientWidth);

/** Steps, sum of ranks and cells of a mask. */
function cellsOf({ cells }: HeatMapRun, frame: Frame): object[] {
  return cells.map((one, i) => ({
    ...one,
    rank: frame.ranks[i] ?? 0,
    largest: frame.largest?.[i] ?? null,
    importance: frame.importance?.[i] ?? null,
  }));
}

function connectSlider(): void {
  const slider = document.querySelector<HTMLInputElement>("#mask");
  const stepLabel = document.querySelector<HTMLOutputElement>("#mask-step");
  const choice = document.querySelector<HTMLSelectElement>("#mask-run");
  const play = document.querySelector<HTMLButtonElement>("#mask-play");
  if (!slider || !stepLabel) return;
  const run = () => data.heatMaps[Number(choice?.value ?? 0)];
  const show = () => {
    const heatMap = run();
    const frame = heatMap?.frames[Number(slider.value)];
    const view = views.get("ranks");
    if (!heatMap || !frame || !view) return;
    const text = `${frame.step === 0 ? "before training" : `step ${frame.step}`}, ${frame.total} ranks`;
    stepLabel.textContent = text;
    slider.setAttribute("aria-valuetext", text);
    void view.data(data.heatMapData, cellsOf(heatMap, frame)).runAsync();
  };
  const restart = () => {
    const last = (run()?.frames.length ?? 1) - 1;
    slider.max = String(last);
    slider.value = String(last);
    show();
  };
  slider.addEventListener("input", show);
  choice?.addEventListener("change", restart);
  if (play) connectPlay(play, slider, show);
  show();
}

/** Moves the slider from its start to its end, twelve masks a second. */
function connectPlay(button: HTMLButtonElement, slider: HTMLInputElement, show: () => void): void {
  let timer: ReturnType<typeof setInterval> | undefined;
  const stop = () => {
    clearInterval(timer);
    timer = undefined;
    button.textContent = "Play";
  };
  const advance = () => {
    slider.value = String(Number(slider.value) + 1);
    show();
    if (Number(slider.value) >= Number(slider.max)) stop();
  };
  button.addEventListener("click", () => {
    if (timer !== undefined) return stop();
    if (Number(slider.value) >= Number(slider.max)) slider.value = "0";
    show();
    button.textContent = "Stop";
    timer = setInterval(advance, 83);
  });
  slider.addEventListener("pointerdown", stop);
  slider.addEventListener("keydown", stop);
}

await Promise.all(Object.entries(data.specs).map(([id, spec]) => draw(id, spec)));
connectSlider();
document.documentElement.dataset["charts"] = "drawn";
