import { choice, text } from "../../core/config/setting.ts";
import { errors } from "../../core/errors.ts";
import { pullParts } from "../../core/io/hub-pull.ts";
import { defineCommand } from "../command.ts";
import { printable } from "../printable.ts";
import { downloadProgress } from "../sources.ts";

const own = {
  revision: text(null, "a branch, tag or commit (default main)", { hint: "NAME" }),
  only: choice(
    pullParts,
    null,
    "a part of it; weights: with their configuration (default: all that predict and PEFT read)",
  ),
};

/** `adalora pull`: an adapter or a model from the hub into the cache. */
export const pull = defineCommand({
  usage: "NAME",
  positionals: 1,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "Downloads the adapter or model NAME (org/name, or org/name/folder for one of several adapters) into the cache that all tools of Hugging Face share, and prints its folder there. What the cache holds already is not downloaded again; an interrupted download is continued.",
    "Every command takes such a name itself: pull is for machines that will be offline, and for scripts.",
  ],
  examples: [
    "adalora pull me/rte-adalora",
    "adalora pull microsoft/deberta-v3-base --only tokenizer",
    'HF_HUB_OFFLINE=1 adalora predict --model "$(adalora pull me/rte-merged)" --input a.csv',
  ],

  async run({ positionals: [name], options: { revision, only } }, report) {
    if (name === undefined) throw errors.missing("name", "give a repository's name, org/name");
    if (revision !== null && name.includes("@")) {
      throw errors.alternatives("--revision", "@revision in the name");
    }
    const { pullRepo } = await import("../../core/io/hub-pull.ts");
    const spec = revision === null ? name : `${name}@${revision}`;
    const onProgress = downloadProgress(report);
    const { dir, commit, source, warning } = await pullRepo(spec, only, { onProgress });
    if (warning !== undefined) report.warn(warning);
    report.result({ dir, commit, source }, printable(dir));
  },
});
