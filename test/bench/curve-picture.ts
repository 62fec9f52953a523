import type { Curve, Dtype, Experiment, FinishedRun } from "./bf16-quality.ts";

const colours: Readonly<Record<Dtype, string>> = { f32: "#2166ac", bf16: "#e08214" };
const dtypes = ["f32", "bf16"] as const;

// Sizes in pixels: a panel, its plot within, and the picture's top.
const [PANEL, ROW, LEFT, TOP, WIDTH, HEIGHT, HEAD] = [240, 220, 46, 34, 180, 150, 34];

/** An SVG picture: a row for each experiment, a panel for each curve, and one for the final metric by seed. */
export function curvePicture(
  experiments: Readonly<Record<string, Experiment>>,
  curves: Readonly<Record<Curve, string>>,
): string {
  const rows = Object.entries(experiments);
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of the table itself
  const columns = Object.entries(curves) as [Curve, string][];
  const [width, height] = [PANEL * (columns.length + 1), HEAD + ROW * rows.length];
  const panels = rows.flatMap(([name, experiment], row) => [
    ...columns.map(([key, title], column) =>
      at(column, row, curvePanel(`${name}: ${title}`, experiment, key)),
    ),
    at(columns.length, row, metricPanel(name, experiment)),
  ]);
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}"`,
    ` font-family="sans-serif" font-size="11" fill="#333">`,
    `<rect width="100%" height="100%" fill="white"/>`,
    legend(),
    ...panels,
    "</svg>\n",
  ].join("\n");
}

function at(column: number, row: number, content: string): string {
  return `<g transform="translate(${column * PANEL + LEFT} ${row * ROW + HEAD + TOP})">${content}</g>`;
}

function legend(): string {
  const items = dtypes.map((dtype, i) => {
    const x = LEFT + 70 * i;
    const line = `<line x1="${x}" y1="20" x2="${x + 24}" y2="20" stroke="${colours[dtype]}" stroke-width="2.5"/>`;
    return `${line}<text x="${x + 30}" y="24">${dtype}</text>`;
  });
  return `${items.join("")}<text x="${LEFT + 150}" y="24">thin: one seed, thick: the mean over seeds</text>`;
}

/** Each run as a thin line and each type's mean as a thick one, over the steps. */
function curvePanel(title: string, { runs, steps }: Experiment, key: Curve): string {
  const scale = scaleOf(runs.flatMap((run) => run.curves[key]));
  const lines = dtypes.flatMap((dtype) => {
    const own = runs.filter((run) => run.dtype === dtype).map((run) => run.curves[key]);
    const points = own[0]?.length ?? 0;
    const mean = Array.from(
      { length: points },
      (_, i) => own.reduce((sum, curve) => sum + (curve[i] ?? Number.NaN), 0) / own.length,
    );
    const line = (curve: readonly number[], style: string) => {
      const path = curve.map((y, i) => `${fixed(((i + 0.5) / points) * WIDTH)},${scale.y(y)}`);
      return `<polyline points="${path.join(" ")}" fill="none" stroke="${colours[dtype]}" ${style}/>`;
    };
    const thick = dtype === "f32" ? 'stroke-width="3"' : 'stroke-width="1.8"';
    return [
      ...own.map((curve) => line(curve, 'stroke-width="0.7" opacity="0.4"')),
      line(mean, thick),
    ];
  });
  const ends = `<text x="0" y="${HEIGHT + 16}">0</text><text x="${WIDTH}" y="${HEIGHT + 16}" text-anchor="end">${steps} steps</text>`;
  return frame(title, scale) + lines.join("") + ends;
}

/** The final metric of each run as a dot over its type, and the means as bars. */
function metricPanel(name: string, { runs }: Experiment): string {
  const [metric = "loss"] = Object.keys(runs[0]?.metrics ?? {});
  const valueOf = (run: FinishedRun) => run.metrics[metric] ?? Number.NaN;
  const scale = scaleOf(runs.map(valueOf));
  const marks = dtypes.map((dtype, i) => {
    const x = (WIDTH * (2 * i + 1)) / 4;
    const values = runs.filter((run) => run.dtype === dtype).map(valueOf);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const dots = values.map(
      (value) =>
        `<circle cx="${x}" cy="${scale.y(value)}" r="4" fill="${colours[dtype]}" opacity="0.7"/>`,
    );
    const bar = `<line x1="${x - 24}" x2="${x + 24}" y1="${scale.y(mean)}" y2="${scale.y(mean)}" stroke="${colours[dtype]}" stroke-width="2"/>`;
    const label = `<text x="${x}" y="${HEIGHT + 16}" text-anchor="middle">${dtype}: ${mean.toFixed(3)}</text>`;
    return dots.join("") + bar + label;
  });
  return frame(`${name}: final ${metric}, by seed`, scale) + marks.join("");
}

interface Scale {
  readonly low: number;
  readonly high: number;
  readonly y: (value: number) => string;
}

/** The smallest range with round ends that holds the values. */
function scaleOf(values: readonly number[]): Scale {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  const unit = 10 ** Math.floor(Math.log10(Math.max(most - least, 1e-9))) / 2;
  const low = Math.floor(least / unit) * unit;
  const high = Math.max(Math.ceil(most / unit) * unit, low + unit);
  return { low, high, y: (value) => fixed(HEIGHT * (1 - (value - low) / (high - low))) };
}

function frame(title: string, { low, high, y }: Scale): string {
  const ticks = [0, 0.5, 1].map((share) => {
    const value = low + share * (high - low);
    const line = `<line x1="0" x2="${WIDTH}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>`;
    const label = Number(value.toPrecision(4));
    return `${line}<text x="-4" y="${Number(y(value)) + 4}" text-anchor="end">${label}</text>`;
  });
  return `<text x="0" y="-12" font-weight="bold">${title}</text>${ticks.join("")}`;
}

const fixed = (value: number) => value.toFixed(1);
