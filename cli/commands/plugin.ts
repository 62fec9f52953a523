import { errors } from "../../core/errors.ts";
import { settings } from "../../core/config/settings.ts";
import { defineCommand } from "../command.ts";
import type { Report } from "../report.ts";
import { openSources } from "../sources.ts";

const USAGE = "list | new NAME";

/** What a verb of the command gets. */
interface PluginLine {
  readonly name: string | undefined;
  readonly plugins: readonly string[] | null;
}

/** Every verb of the command. */
const verbs: Readonly<Record<string, (line: PluginLine, report: Report) => Promise<void>>> = {
  list: listPlugins,
  new: newPlugin,
};

/** `adalora plugin`: the model families, and the start of a new one. */
export const plugin = defineCommand({
  usage: USAGE,
  words: Object.keys(verbs),
  positionals: 2,
  settings: [],
  options: { plugins: settings.plugins },
  scripts: false,
  notes: [
    "list shows the model families of adalora and those of --plugin: the model types of config.json that they handle, their tasks, and the names of their modules for --modules.",
    "new writes NAME.ts, a working encoder to start from, and NAME.test.ts. Both import adalora: `npm i -D adalora` in their folder gives the editor types, and the test what it runs. Training needs neither.",
  ],
  examples: [
    "adalora plugin list",
    "adalora plugin new my-encoder",
    "adalora plugin list --plugin ./my-encoder.ts --json",
  ],

  async run({ positionals: [verb, name], options: { plugins } }, report) {
    if (verb === undefined) throw errors.missing("action", `adalora plugin ${USAGE}`);
    const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
    if (run === undefined) throw errors.argument(verb, USAGE);
    await run({ name, plugins }, report);
  },
});

// --- internal ---

async function listPlugins({ name, plugins }: PluginLine, report: Report): Promise<void> {
  if (name !== undefined) throw errors.argument(name, "list");
  const { familiesText, listedFamilies } = await import("../plugins/list-families.ts");
  const families = listedFamilies(await openSources(report).families(plugins));
  report.result({ families }, familiesText(families));
}

async function newPlugin({ name }: PluginLine, report: Report): Promise<void> {
  if (name === undefined) throw errors.missing("name", "adalora plugin new NAME");
  const { newPluginFiles } = await import("../plugins/new-plugin.ts");
  const { files, next } = newPluginFiles(name);
  report.result({ files }, next);
}
