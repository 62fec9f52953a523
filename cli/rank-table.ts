import { layerOf } from "../core/model/layer-of.ts";
import type { Output } from "./terminal.ts";

/** The rank of one adapted matrix. */
export interface MatrixRank {
  /** Path of its module: the first number in it is the layer, the part before names the stack. */
  readonly path: string;
  /** The module's name in its layer: a column of the table. */
  readonly module: string;
  readonly rank: number;
  /** The rank before pruning. */
  readonly initialRank: number;
}

/** Draws a heat map in characters where the output has no colours. */
interface TableOptions {
  readonly shades?: boolean;
}

/**
 * Formats ranks as a table of layers by modules for each stack of layers, with a heat map where the
 * output has colours or `shades` are drawn. To fit the output's width it breaks the modules' names or, at worst, replaces
 * them by letters with a legend.
 */
export function rankTable(
  ranks: readonly MatrixRank[],
  output: Output,
  { shades = false }: TableOptions = {},
): string {
  const stacks = Map.groupBy(ranks, ({ path }) => layerOf(path).stack);
  const tables = [...stacks].map(([stack, matrices]) =>
    stackTable(stacks.size > 1 && stack !== "" ? `${stack}\n` : "", matrices, {
      output,
      shades: shades && !output.colours,
    }),
  );
  const total = (of: (matrix: MatrixRank) => number) => ranks.reduce((sum, m) => sum + of(m), 0);
  const empty = ranks.filter(({ rank }) => rank === 0).length;
  const kept = `${total((m) => m.rank)} of ${total((m) => m.initialRank)} ranks kept`;
  return [...tables, `${kept}, ${empty} of ${ranks.length} matrices at rank 0`].join("\n\n");
}

// --- internal ---

interface Drawing {
  readonly output: Output;
  readonly shades: boolean;
}

function stackTable(title: string, matrices: readonly MatrixRank[], drawing: Drawing): string {
  const { output, shades } = drawing;
  const modules = [...new Set(matrices.map(({ module }) => module))];
  const layers = [...Map.groupBy(matrices, ({ path }) => layerOf(path).layer)];
  const label = Math.max("layer".length, ...layers.map(([layer]) => layer.length));
  const { names, legend } = headings(modules, output.columns - label - sumWidth);
  const widths = names.map(
    (lines) => gap + Math.max(shades ? 3 : 2, ...lines.map((line) => line.length)),
  );
  const header = headerRows(names, widths, label);
  const rows = layers.map(([layer, cells]) => {
    const drawn = modules.map((module, i) => {
      const cell = cells.find((one) => one.module === module);
      return cell ? heat(cell, widths[i]!, drawing) : " ".repeat(widths[i]!);
    });
    return layer.padStart(label) + drawn.join("") + sumOf(cells).padStart(sumWidth);
  });
  const sums = modules.map((module, i) =>
    (sumOf(matrices.filter((one) => one.module === module)) + (shades ? " " : "")).padStart(
      widths[i]!,
    ),
  );
  const last = "sum".padStart(label) + sums.join("") + sumOf(matrices).padStart(sumWidth);
  return title + [...header, ...rows, last, ...legend].join("\n");
}

/** Blanks between columns, and the width of the last column. */
const gap = 2;
const sumWidth = 7;

const sumOf = (cells: readonly MatrixRank[]) => String(cells.reduce((sum, c) => sum + c.rank, 0));

/** Each module's name as lines that fit side by side into `room`, or letters and a legend. */
function headings(modules: readonly string[], room: number) {
  const breakings = [
    (name: string) => [name],
    (name: string) => name.split(/(?<=\.)/),
    (name: string) => name.split(/(?<=[._])/),
  ];
  for (const breaking of breakings) {
    const names = modules.map(breaking);
    const width = names.reduce(
      (sum, lines) => sum + gap + Math.max(...lines.map((l) => l.length)),
      0,
    );
    if (width <= room) return { names, legend: [] };
  }
  const letters = modules.map((_, i) => String.fromCodePoint(0x61 + i));
  return {
    names: letters.map((letter) => [letter]),
    legend: ["", ...modules.map((name, i) => `${letters[i]}  ${name}`)],
  };
}

function headerRows(
  names: readonly string[][],
  widths: readonly number[],
  label: number,
): string[] {
  const height = Math.max(...names.map((lines) => lines.length));
  return Array.from({ length: height }, (_, row) => {
    const cells = names.map((lines, i) => {
      const line = lines[row - (height - lines.length)] ?? "";
      return line.padStart(widths[i]!);
    });
    const isLast = row === height - 1;
    const first = (isLast ? "layer" : "").padStart(label);
    return (first + cells.join("") + (isLast ? "sum".padStart(sumWidth) : "")).trimEnd();
  });
}

/** xterm's 256 colours from dark blue to yellow; black text on the light ones. */
const ramp = [17, 18, 19, 25, 31, 37, 72, 107, 143, 179, 221] as const;
const lightFrom = 5;

/** Shares of the initial rank, from none to all. */
const SHADES = [" ", "░", "▒", "▓", "█"] as const;

function heat(matrix: MatrixRank, width: number, { output, shades }: Drawing): string {
  const { rank, initialRank } = matrix;
  const text = String(rank);
  if (shades) {
    const share = Math.min(1, rank / Math.max(1, initialRank));
    return (text + SHADES[Math.ceil(share * (SHADES.length - 1))]).padStart(width);
  }
  if (!output.colours) return text.padStart(width);
  const step = Math.min(
    ramp.length - 1,
    Math.round((rank / Math.max(1, initialRank)) * (ramp.length - 1)),
  );
  const ink = step >= lightFrom ? 16 : 255;
  const blank = " ".repeat(gap - 1);
  return `${blank}\x1b[48;5;${ramp[step]};38;5;${ink}m${text.padStart(width - gap)} \x1b[0m`;
}
