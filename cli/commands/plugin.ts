import { errors } from "../../core/errors.ts";
import { text } from "../../core/config/setting.ts";
import { settings } from "../../core/config/settings.ts";
import { defineCommand } from "../command.ts";
import type { ExitCode, Report } from "../report.ts";
import { openSources } from "../sources.ts";

const USAGE = "list | new NAME | check [FILE]";

/** What a verb of the command gets. */
interface PluginLine {
  /** The word after the verb. */
  readonly name: string | undefined;
  readonly plugins: readonly string[] | null;
  readonly model: string | null;
  readonly golden: string | null;
}

type Verb = (line: PluginLine, report: Report) => Promise<ExitCode | void>;

const own = {
  plugins: settings.plugins,
  model: text(null, "check: a checkpoint of the family, a folder or a model on the hub", {
    hint: "DIR",
  }),
  golden: text(null, "check: a folder of outputs that another program recorded, to compare with", {
    hint: "DIR",
  }),
};

/** Every verb of the command. */
const verbs: Readonly<Record<string, Verb>> = {
  list: listPlugins,
  new: newPlugin,
  check: checkOfPlugin,
};

/** `adalora plugin`: the model families, the start of a new one, and its checks. */
export const plugin = defineCommand({
  usage: USAGE,
  words: Object.keys(verbs),
  positionals: 2,
  settings: [],
  options: own,
  scripts: false,
  notes: [
    "list shows the model families of adalora and those of --plugin: the model types of config.json that they handle, their tasks, and the names of their modules for --modules.",
    "new writes NAME.ts, a working encoder to start from, and NAME.test.ts. Both import adalora: `npm i -D adalora` in their folder gives the editor types, and the test what it runs. Training needs neither.",
    "check reads a checkpoint with a plugin's file or package, or with the family that handles it: keys and shapes, patterns, tokenizer; then, on a small model of the same config.json in float64, gradients, memory, checkpointing, batches, dropout and adapters. --golden compares logits and hidden states with recorded ones: golden.json, and golden.safetensors with input.input_ids, input.attention_mask, out.logits (or out.start_logits and out.end_logits), out.hidden.0 and so on. Each failure says what to change; exits with 1 if there is one.",
  ],
  examples: [
    "adalora plugin list",
    "adalora plugin new my-encoder",
    "adalora plugin check ./my-encoder.ts --model models/my-encoder",
    "adalora plugin list --plugin ./my-encoder.ts --json",
  ],

  async run({ positionals: [verb, name], options: { plugins, model, golden } }, report) {
    if (verb === undefined) throw errors.missing("action", `adalora plugin ${USAGE}`);
    const run = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined;
    if (run === undefined) throw errors.argument(verb, USAGE);
    return run({ name, plugins, model, golden }, report);
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

/** Exits with 1 if a check fails. */
async function checkOfPlugin(line: PluginLine, report: Report): Promise<ExitCode> {
  const { name, plugins, model, golden } = line;
  if (model === null) throw errors.missing("model", "adalora plugin check FILE --model DIR");
  const { join } = await import("node:path");
  const { readJsonObject } = await import("../../core/io/json-file.ts");
  const { checkPlugin } = await import("../plugin-check/check-plugin.ts");
  const { findingsText } = await import("../plugin-check/findings-text.ts");
  const sources = openSources(report);
  const families = await sources.families(name === undefined ? plugins : [name]);
  const folder = await sources.model(model);
  const family =
    name === undefined
      ? families.familyOf(String(readJsonObject(join(folder, "config.json"))["model_type"]))
      : families.all.find(({ origin }) => origin !== undefined);
  if (!family) throw errors.argument(name ?? "", USAGE);
  const findings = await checkPlugin(family.plugin, folder, {
    origin: family.origin,
    onProgress: (about) => report.stage(`checking ${about}`),
    ...(golden === null ? {} : { golden }),
  });
  const ok = findings.every(({ level }) => level !== "fail");
  report.result({ ok, findings }, findingsText(findings, report.stdout));
  return ok ? 0 : 1;
}
