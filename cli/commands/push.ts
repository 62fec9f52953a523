import { toggle } from "../../core/config/setting.ts";
import { AdaloraError, errors } from "../../core/errors.ts";
import { looksLikeRepo } from "../../core/io/hub-repo.ts";
import type { FileToPush, Visibility } from "../../core/io/hub-writer.ts";
import { byteSize } from "../byte-size.ts";
import { defineCommand } from "../command.ts";
import { pushedText, sizesText } from "../push-text.ts";
import type { Report } from "../report.ts";
import { trainedOptions } from "../trained-options.ts";

const own = {
  which: trainedOptions.which,
  private: toggle(
    false,
    "only you and your organization see the repository (default for a new one)",
  ),
  public: toggle(false, "everybody sees the repository"),
  dryRun: toggle(false, "list the files and their sizes, and send nothing"),
};

/** Uploads of smaller files are not shown. */
const SHOWN_FROM_BYTES = 2 ** 20;

/** `adalora push`: a run, an adapter or a full model on the hub. */
export const push = defineCommand({
  usage: "RUN|ADAPTER|MERGED NAME",
  positionals: 2,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "Makes the model repository NAME (org/name) on the hub hold the folder's files, in one commit; what it holds already is not sent again. A new repository is private unless --public is given; an existing one stays as it is.",
    "Of a run the chosen weights are sent, and its log, results, ranks, settings and report in run/. Files that hold a token, a local path or this machine's name are refused.",
    "HF_TOKEN, or the login of the hub's own tools, gives the token; HF_ENDPOINT another hub.",
  ],
  examples: [
    "adalora push runs/rte me/rte-adalora --dry-run",
    "adalora push runs/rte me/rte-adalora --which best",
    "adalora push rte-merged me/rte-merged --public",
  ],

  async run({ positionals: [source, name], options }, report) {
    if (source === undefined) throw errors.missing("folder", "name a run, an adapter or a model");
    if (name === undefined) throw errors.missing("repository", "give its name, org/name");
    if (options.private && options.public) throw errors.alternatives("--private", "--public");
    const { checkName, pushFiles } = await import("../../core/io/hub-push.ts");
    const { hubSettings } = await import("../../core/io/hub-settings.ts");
    const { privateHere } = await import("../../core/io/private-text.ts");
    const { filesToPush, isStaleFile } = await import("../../core/run/push/pushed-files.ts");
    const { checkPrivate } = await import("../../core/run/push/check-private.ts");
    checkName(name);
    const { kind, baseModel, run, dir, files: found } = filesToPush(source, options.which);
    const { reportToPush } = await import("../report-page/report-to-push.ts");
    const records = run === undefined ? [] : [reportToPush(run, name)];
    const results = await resultsOf(dir, name, report);
    const files = [...found, ...records, ...results].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    const { resolve } = await import("node:path");
    const secrets = privateHere(hubSettings(process.env).token, [resolve(source)]);
    await checkPrivate(dir, files, secrets);
    const sizes = files.map(({ path, content }) => ({ path, size: content.size }));
    const bytes = sizes.reduce((sum, { size }) => sum + size, 0);
    if (kind === "adapter" && !isNamed(baseModel)) {
      report.warn("the adapter names no base model on the hub: its users must give it", [
        "hint: adalora export --to peft --base-name org/base writes one that does",
      ]);
    }
    const shared = { name, kind, files: sizes, bytes };
    if (options.dryRun) {
      report.result({ ...shared, dryRun: true }, sizesText(sizes));
      return;
    }
    const visibility = visibilityOf(options);
    report.stage(`pushing ${files.length} files, ${byteSize(bytes)}`);
    const pushed = await pushFiles(
      { name, files, isStale: isStaleFile, visibility },
      {
        onUpload: ({ path, content }) => {
          if (content.size < SHOWN_FROM_BYTES) return;
          const text = `uploading ${path}, ${byteSize(content.size)}`;
          if (report.isLive) report.live(text);
          else report.info(text);
        },
      },
    );
    report.result({ ...shared, ...pushed }, pushedText(pushed, sizes));
  },
});

// --- internal ---

/**
 * Results for the leaderboards of the data set on the hub; none, with a warning, if it can't be
 * read.
 */
async function resultsOf(
  dir: string,
  name: string,
  report: Report,
): Promise<readonly FileToPush[]> {
  const { readFacts } = await import("../../core/model/adapter-facts.ts");
  const { benchmarkResults } = await import("../../core/run/push/benchmark-results.ts");
  try {
    const file = await benchmarkResults(readFacts(dir), name);
    return file === undefined ? [] : [file];
  } catch (error) {
    if (!(error instanceof AdaloraError) || !error.code.startsWith("E_HUB")) throw error;
    report.warn(`no results for leaderboards are sent: ${error.message}`);
    return [];
  }
}

/** Whether an adapter's base model is named as on the hub, so that others can load it. */
const isNamed = (baseModel: string | null | undefined) =>
  typeof baseModel === "string" && looksLikeRepo(baseModel);

function visibilityOf(options: {
  readonly private: boolean;
  readonly public: boolean;
}): Visibility | null {
  if (options.public) return "public";
  return options.private ? "private" : null;
}
