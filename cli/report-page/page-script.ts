import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The script of a report: Vega, Vega-Lite, Vega's interpreter of expressions, and the files of
 * browser/, as one text without imports. It is put together from the packages' own files. In the
 * executable, which has no files, scripts/build.ts puts the text in place of this module.
 */
export function pageScript(): string {
  const parts = [
    builtFile("vega", "vega.min.js"),
    builtFile("vega-lite", "vega-lite.min.js"),
    interpreter(),
    ownFile("sized-chart.ts"),
    ownFile("main.ts"),
  ];
  const text = parts.map(withoutMap).join("\n;\n");
  // Nothing in it may end the script element that it stands in.
  return text.replaceAll(/<(?=\/script|!--)/gi, "\\x3c");
}

// --- internal ---

/** A file of browser/ as a script, which shares its names with the others. */
function ownFile(name: string): string {
  const text = readFileSync(join(import.meta.dir, "browser", name), "utf8");
  const module = new Bun.Transpiler({ loader: "ts" }).transformSync(text);
  return module.replaceAll(/^import .*;$/gm, "").replaceAll(/^export (?=function |const )/gm, "");
}

/** A file beside the one that a package's name resolves to: for browsers, it is not exported. */
function builtFile(name: string, file: string): string {
  const main = fileURLToPath(import.meta.resolve(name));
  return readFileSync(join(dirname(main), file), "utf8");
}

/** The interpreter is published as a module only: its imports are properties of the global `vega`. */
function interpreter(): string {
  const body = builtFile("vega-interpreter", "vega-interpreter.js")
    .replace(/^import (\{[^}]*\}) from 'vega-util';$/m, "const $1 = vega;")
    .replace(/^export \{ (\w+) as expressionInterpreter \};$/m, "return $1;");
  return `const expressionInterpreter = (() => {\n${withoutMap(body)}\n})();`;
}

const withoutMap = (text: string) => text.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "");
