import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** Imports inside core, type imports and dynamic ones included, by file. */
const root = join(import.meta.dir, "..");
const sources = [...new Bun.Glob("core/**/*.ts").scanSync(root)].toSorted();
const imports = new Map(sources.map((file) => [file, importsOf(file)]));

/** The folders of core from the lowest up, as ARCHITECTURE.md shows them. */
const order = foldersIn(readFileSync(join(root, "ARCHITECTURE.md"), "utf8"));

test("no file of core imports itself by way of others, types included", () => {
  expect(circles()).toEqual([]);
});

test("every folder of core is in ARCHITECTURE.md's order, once", () => {
  const folders = new Set(sources.map(folderOf));
  expect(order.toSorted()).toEqual([...folders].toSorted());
});

test("every folder of core imports only folders below it in that order", () => {
  const upward = [...imports].flatMap(([file, targets]) =>
    targets
      .filter((target) => order.indexOf(folderOf(target)) > order.indexOf(folderOf(file)))
      .map((target) => `${file} imports ${target}`),
  );
  expect(upward).toEqual([]);
});

test("lint forbids each folder of core the folders above it, and the rooms above core", () => {
  const forbidden = lintRules();
  for (const [i, folder] of order.entries()) {
    const files = folder === "core" ? "core/*.ts" : `core/${folder}/**`;
    const above = [
      ...order.slice(i + 1).filter((name) => name !== "core"),
      "ffi",
      "models",
      "plugins",
      "cli",
    ];
    expect([files, forbidden.get(files)]).toEqual([files, `/(${above.join("|")})/`]);
  }
});

test("the program's own families import the kit, as those from outside do", () => {
  const others = [...new Bun.Glob("{models,plugins}/*/*.ts").scanSync(root)].flatMap((file) =>
    importsOf(file)
      .filter((target) => !/^(models|plugins)\//.test(target) && target !== "core/kit/kit.ts")
      .map((target) => `${file} imports ${target}`),
  );
  expect(others).toEqual([]);
});

test("core imports nothing outside itself", () => {
  const outside = [...imports].flatMap(([file, targets]) =>
    targets.filter((target) => !target.startsWith("core/")).map((target) => `${file}: ${target}`),
  );
  expect(outside).toEqual([]);
});

// --- internal ---

function importsOf(file: string): readonly string[] {
  const source = readFileSync(join(root, file), "utf8");
  const found = source.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g);
  return [...found].map(([, path = ""]) => normalize(join(dirname(file), path)));
}

/** "core" for its own files, "tasks" for core/tasks; sub-folders of one room count as it. */
function folderOf(file: string): string {
  const [, folder = "", ...rest] = file.split("/");
  return rest.length === 0 ? "core" : folder;
}

/** The line `core < backend < io < …`. */
function foldersIn(map: string): readonly string[] {
  const line = /^ {4}([a-z]+(?: < [a-z]+)+)$/m.exec(map)?.[1] ?? "";
  return line.split(" < ");
}

/** The regular expression of imports that .oxlintrc.json forbids, by the files that it forbids them to. */
function lintRules(): ReadonlyMap<string, string | undefined> {
  const config: {
    overrides: {
      files: string[];
      rules: { "no-restricted-imports"?: [string, { patterns: { regex?: string }[] }] };
    }[];
  } = JSON.parse(readFileSync(join(root, ".oxlintrc.json"), "utf8"));
  return new Map(
    config.overrides.map(({ files: [first = ""], rules }) => [
      first,
      rules["no-restricted-imports"]?.[1].patterns[0]?.regex,
    ]),
  );
}

/** Groups of files that reach each other (Tarjan's strongly connected components of more than one). */
function circles(): string[][] {
  const index = new Map<string, number>();
  const stack: string[] = [];
  const found: string[][] = [];
  const visit = (file: string): number => {
    index.set(file, index.size);
    let lowest = index.get(file)!;
    stack.push(file);
    for (const target of imports.get(file) ?? []) {
      if (!index.has(target)) lowest = Math.min(lowest, visit(target));
      else if (stack.includes(target)) lowest = Math.min(lowest, index.get(target)!);
    }
    if (lowest === index.get(file)) {
      const group = stack.splice(stack.indexOf(file));
      if (group.length > 1) found.push(group.toSorted());
    }
    return lowest;
  };
  for (const file of sources) if (!index.has(file)) visit(file);
  return found;
}
