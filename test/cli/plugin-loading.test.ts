import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { importPlugin } from "../../cli/plugins/import-plugin.ts";
import { openFamilies, replacements } from "../../cli/plugins/open-families.ts";
import { originOf, pluginFiles } from "../../cli/plugins/plugin-files.ts";
import { pluginName } from "../../cli/plugins/plugin-name.ts";
import { AdaloraError } from "../../core/errors.ts";
import { Linear } from "../../core/nn/linear.ts";
import { plugins } from "../../plugins/index.ts";
import { writeBagPlugin } from "../helpers/bag-plugin.ts";

const root = realpathSync(mkdtempSync(join(tmpdir(), "adalora-plugins-")));
afterAll(() => rmSync(root, { recursive: true }));

let folders = 0;

/** Writes files into a new folder and returns the path of the first. */
function written(files: Readonly<Record<string, string>>): string {
  const folder = join(root, String(folders++));
  const paths = Object.entries(files).map(([name, text]) => {
    const path = join(folder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return path;
  });
  return paths[0] ?? folder;
}

/** The bag plugin in a new folder, with texts replaced. */
const bag = (...edits: (readonly [string, string])[]) =>
  writeBagPlugin(join(root, String(folders++)), ...edits);

const open = (names: readonly string[], from = root) => openFamilies(names, plugins, { from });

/** What the error for a plugin says, without the folder. */
async function refusal(names: readonly string[]) {
  const error: unknown = await open(names).catch((thrown: unknown) => thrown);
  if (!(error instanceof AdaloraError))
    throw new Error(`an error is expected, got ${String(error)}`);
  expect(error.code).toBe("E_PLUGIN");
  const short = (text = "") => text.replaceAll(root, "ROOT").replaceAll(/ROOT\/\d+\//g, "");
  return [short(error.message), short(error.hint)];
}

describe("a plugin", () => {
  test("is loaded with the program's own kit and the files beside it", async () => {
    const families = await open([bag()]);
    const { plugin, origin } = families.familyOf("bag");
    expect(plugin.name).toBe("bag");
    expect(origin?.files.map((file) => file.replace(/.*\//, ""))).toEqual(["bag.ts", "special.ts"]);
    expect(families.familyOf("deberta-v2").origin).toBeUndefined();
  });

  test('gets this program\'s "adalora", not one in its node_modules', async () => {
    const file = written({
      "own.ts": `import { nn } from "adalora";\nexport default nn.Linear;`,
      "node_modules/adalora/package.json": `{ "name": "adalora", "main": "index.js" }`,
      "node_modules/adalora/index.js": `exports.nn = { Linear: "another" };`,
    });
    expect(await importPlugin(file, [])).toEqual({ default: Linear });
  });

  test("uses packages from its own node_modules", async () => {
    const [from, to] = ["maxLength: 64", "maxLength: longest"];
    const file = bag(
      [from, to],
      [`import { special }`, `import { longest } from "lengths";\nimport { special }`],
    );
    const lengths = join(dirname(file), "node_modules/lengths");
    mkdirSync(lengths, { recursive: true });
    writeFileSync(join(lengths, "package.json"), `{ "name": "lengths", "exports": "./main.js" }`);
    writeFileSync(join(lengths, "main.js"), "export const longest = 77;");
    const { plugin } = (await open([file])).familyOf("bag");
    expect(plugin.limits({ vocabSize: 5 }).maxLength).toBe(77);
  });

  test("may be a package, found from the current folder or one above", async () => {
    const project = join(root, "project");
    const folder = join(project, "node_modules/adalora-bag");
    writeBagPlugin(folder);
    writeFileSync(join(folder, "package.json"), `{ "name": "adalora-bag", "exports": "./bag.ts" }`);
    const families = await open(["adalora-bag"], join(project, "runs/one"));
    expect(families.familyOf("bag").origin?.file).toBe(join(folder, "bag.ts"));
  });

  test("may be a link, and may be named twice", async () => {
    const file = bag();
    const link = join(root, "link.ts");
    symlinkSync(file, link);
    const { all } = await open([file, link, file]);
    expect(all.filter(({ origin }) => origin !== undefined)).toHaveLength(1);
  });

  test("for a model type of the program takes its place, which is said", async () => {
    const file = bag([`modelTypes: ["bag"]`, `modelTypes: ["bart", "bag"]`]);
    const families = await open([file]);
    expect(families.familyOf("bart").plugin.name).toBe("bag");
    expect(replacements(families)).toEqual([
      `model_type bart is handled by ${file}, plugin "bag", not by adalora's own "bart"`,
    ]);
  });

  test("shares no model type with another plugin", async () => {
    const [message, hint] = await refusal([bag(), bag()]);
    expect(message).toBe('bag.ts: model_type "bag" is handled by bag.ts too');
    expect(hint).toBe("load one of the two");
  });
});

describe("a run's config.json", () => {
  const file = bag();
  const run = dirname(file);
  const saved = (name: string, from = run) =>
    openFamilies([name], plugins, { from, savedIn: run }).catch((error: unknown) => error);
  const refused = expect.objectContaining({
    code: "E_PLUGIN",
    message: expect.stringMatching(
      /is named by the run's config\.json and may have come with it: it is not loaded unasked$/,
    ),
  });

  test("may name a plugin elsewhere", async () => {
    expect(await saved(bag())).toHaveProperty("all");
  });

  test("may name no code that lies in the run's own folder, nor a relative path", async () => {
    writeBagPlugin(join(run, "node_modules/evil"));
    writeFileSync(join(run, "node_modules/evil/package.json"), `{ "exports": "./bag.ts" }`);
    symlinkSync(run, join(root, "alias"));
    for (const name of [file, "./bag.ts", "bag.ts", "evil", join(root, "alias/bag.ts")])
      expect([name, await saved(name)]).toEqual([name, refused]);
    expect(await saved("./bag.ts", dirname(bag()))).toEqual(refused);
  });
});

describe("a plugin's digest", () => {
  const digest = (file: string) => originOf(file, pluginFiles(file)).digest;

  test("is that of the bytes, wherever they lie", () => {
    expect(digest(bag())).toBe(digest(bag()));
    expect(digest(bag())).not.toBe(digest(bag(["0.5", "0.25"])));
  });

  test("covers files that it imports by a path, in turn", () => {
    const files = (value: number) => ({
      "a.ts": `import "./b/b.ts";`,
      "b/b.ts": `export * from "../c.js"; import("../d.json");`,
      "c.js": `export const c = ${value};`,
      "d.json": "{}",
    });
    expect(pluginFiles(written(files(1)))).toHaveLength(4);
    expect(digest(written(files(1)))).not.toBe(digest(written(files(2))));
  });
});

describe("a plugin's name", () => {
  test.each([
    ["./bert.ts", "/runs/bert.ts"],
    ["bert.ts", "/runs/bert.ts"],
    ["../bert", "/bert"],
    ["/a/bert.mjs", "/a/bert.mjs"],
    ["adalora-bert", "adalora-bert"],
    ["@me/bert", "@me/bert"],
  ])("%s is kept as %s", (name, kept) => expect(pluginName(name, "/runs")).toBe(kept));

  test("without an ending is a path if the file is there", () => {
    const file = written({ plain: "" });
    expect(pluginName("plain", dirname(file))).toBe(file);
  });
});

describe("a plugin is refused, with what to do:", () => {
  test("no such file", async () =>
    expect(await refusal(["./gone.ts"])).toEqual([
      "--plugin ROOT/gone.ts: does not exist",
      "name its file or package with --plugin; a run keeps that name in its config.json",
    ]));

  test("no such package", async () => {
    const [message, hint] = await refusal(["adalora-gone"]);
    expect(message).toBe(
      "--plugin adalora-gone: there is no such file, nor a package of that name in node_modules",
    );
    expect(hint).toStartWith("npm i adalora-gone in this folder, or name its file");
  });

  test("a folder by its bare name, which is a package's", async () => {
    mkdirSync(join(root, "family"));
    const [, hint] = await refusal(["family"]);
    expect(hint).toBe("for the folder of that name: --plugin ./family");
  });

  test("a device", async () =>
    expect(await refusal(["/dev/null"])).toEqual([
      "--plugin /dev/null: is neither a file nor a folder",
      "name its file or package with --plugin; a run keeps that name in its config.json",
    ]));

  test("a folder that is no package", async () => {
    const [message] = await refusal([dirname(written({ "readme.md": "" }))]);
    expect(message).toMatch(
      /is a folder without a package\.json that names its main file, or an index\.ts$/,
    );
  });

  const files: readonly (readonly [what: string, text: string, message: string, hint: string])[] = [
    [
      "mistakes of syntax",
      'export default {\n  name: "x"\n  modelTypes: [],\n};',
      'it.ts:3:3: Expected "}" but found "modelTypes" (and 2 more)',
      "the line reads: modelTypes: [],",
    ],
    ["one mistake of syntax", "let y = ;", "it.ts:1:9: Unexpected ;", "the line reads: let y = ;"],
    [
      "a name that the kit lacks",
      'import {\n  definePlugins,\n} from "adalora";\nexport default definePlugins({});',
      'it.ts:2: imports definePlugins, which "adalora" does not export',
      "did you mean definePlugin? it exports configReader, definePlugin, errors, nn, ops, tokenizers",
    ],
    [
      "a name that a file lacks",
      'import { helper } from "./helper.ts";\nexport default helper;',
      "it.ts:1: imports helper, which helper.ts does not export",
      "",
    ],
    [
      "a file that it imports",
      'import { a } from "./none.ts";\nexport default a;',
      "it.ts: imports a file that is not there: ./none.ts",
      "a path is read from the folder of the file that imports it",
    ],
    [
      "a package that it imports",
      'import { a } from "no-such-package";\nexport default a;',
      "it.ts: imports a package that is not there: no-such-package",
      "install it beside the plugin: npm i no-such-package",
    ],
    [
      "a module that is no part of the kit",
      'import { a } from "adalora/core/none";\nexport default a;',
      "it.ts: imports a package that is not there: adalora/core/none",
      'a plugin imports everything from "adalora" alone',
    ],
    [
      "a throw",
      'interface A { a: number }\nfunction fail(): A {\n  throw new TypeError("boom");\n}\nexport default fail();',
      "it.ts:3:13: throws while it is loaded: TypeError: boom",
      "",
    ],
    ["a throw of text", 'throw "text";', "it.ts: throws while it is loaded: text", ""],
    [
      "no default export",
      "export const plugin = {};",
      "it.ts: has no default export: it exports plugin",
      "export default definePlugin({ name, modelTypes, … })",
    ],
    [
      "a function as default export",
      "export default () => ({});",
      "it.ts: the default export must be a plugin, got a function",
      "call it: export default myPlugin(), not myPlugin",
    ],
    [
      "a Promise as default export",
      "export default Promise.resolve({});",
      "it.ts: the default export must be a plugin, got a Promise",
      "export default await …, in a file with top-level await",
    ],
    [
      "a getter that throws",
      'export default {\n  get name() {\n    throw new TypeError("boom");\n  },\n};',
      "it.ts:3:15: throws while it is loaded: TypeError: boom",
      "",
    ],
    [
      "text as default export",
      'export default "bert";',
      'it.ts: the default export must be a plugin, got "bert"',
      "export default definePlugin({ name, modelTypes, … })",
    ],
  ];
  test.each(files)("%s", async (_, text, message, hint) => {
    const file = written({ "it.ts": text, "helper.ts": "export const other = 1;" });
    expect(await refusal([file])).toEqual([message, hint]);
  });

  test("a top-level await that never ends", async () => {
    const file = written({ "it.ts": "await new Promise(() => {});\nexport default {};" });
    const error: unknown = await importPlugin(file, [], 0.05).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: "E_PLUGIN",
      message: `${file}: did not finish loading within 0.05 s`,
      hint: "a top-level await in it may never end",
    });
  });

  const MODULES =
    "an object of regular expressions without the flags g and y, at least one, with names of letters, digits, ., _, + and -";
  const fields: readonly (readonly [from: string, to: string, message: string, hint?: string])[] = [
    [`name: "bag",`, "", '"name" must be of letters, digits, ., _, + and -, got nothing'],
    [
      "modelTypes:",
      "modeltypes:",
      '"modelTypes" must be a list of words of letters, digits, ., _, + and -, got nothing',
      '"modeltypes" is not a field: is it misspelled?',
    ],
    [
      `["bag"]`,
      `"bag"`,
      '"modelTypes" must be a list of words of letters, digits, ., _, + and -, got "bag"',
    ],
    [
      `["bag"]`,
      "[]",
      '"modelTypes" must be a list of words of letters, digits, ., _, + and -, got []',
    ],
    [
      `["classification"]`,
      `["classify"]`,
      '"tasks" must be a list of classification, regression, span, generation, got ["classify"]',
    ],
    ["parseConfig(raw)", "parse(raw)", '"parseConfig" must be a function, got nothing'],
    [`prefix: "bag.", `, "", '"weights.prefix" must be text, got nothing'],
    [
      "rename: []",
      "rename: [/a/, 'b']",
      '"weights.rename" must be a list of [regular expression, text], without the flags g and y, got [/a/, "b"]',
    ],
    [
      "ignore: []",
      "ignore: ['a']",
      '"weights.ignore" must be a list of regular expressions without the flags g and y, got ["a"]',
    ],
    [
      "dense: /\\.dense$/",
      "dense: /\\.dense$/g",
      '"adapters.modules" must be an object of regular expressions without the flags g and y, at least one, with names of letters, digits, ., _, + and -, got { dense: /\\.dense$/g }',
    ],
    ["dense: /\\.dense$/", "", `"adapters.modules" must be ${MODULES}, got {}`],
    [
      "dense: /\\.dense$/",
      '"a,b": /\\.dense$/',
      `"adapters.modules" must be ${MODULES}, got { a,b: /\\.dense$/ }`,
    ],
    [
      `name: "bag",`,
      'name: "b\\u001b[31m",',
      `"name" must be of letters, digits, ., _, + and -, got "b\\u001b[31m"`,
    ],
    [
      "prefixes: {},",
      "",
      '"adapters.prefixes" must be an object of regular expressions without the flags g and y, got nothing',
    ],
    [`saved: ["classifier"]`, "saved: [3]", '"adapters.saved" must be a list of texts, got [3]'],
    [
      `name: "bag", special`,
      `name: "bag"`,
      '"tokenizer.special" must be an object of texts, got nothing',
    ],
    [
      `name: "bag", special`,
      `name: "bag", special: { pad: "a" }`,
      '"tokenizer.special.cls" must be text, got nothing',
    ],
    [
      `name: "bag", special`,
      `name: "bag", special, convert: { files: ["a"] }`,
      '"tokenizer.convert.build" must be a function, got nothing',
    ],
  ];
  test.each(fields)("%s → %s", async (from, to, message, hint = "") =>
    expect(await refusal([bag([from, to])])).toEqual([`bag.ts: ${message}`, hint]),
  );
});
