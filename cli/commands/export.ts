import { existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, resolve } from "node:path";
import { choice, text, toggle, type ValuesOf } from "../../core/config/setting.ts";
import { settings } from "../../core/config/settings.ts";
import { errors } from "../../core/errors.ts";
import type { ReleasePages } from "../../core/model/export/merge.ts";
import type { ExportFormat } from "../../core/run/export/export-adapter.ts";
import type { ExportSource } from "../../core/run/export/source.ts";
import { runFiles } from "../../core/run/run-folder.ts";
import { runOf } from "../../core/run/run-of.ts";
import { openBackend, openDecompose } from "../backend.ts";
import { type CommandLine, defineCommand } from "../command.ts";
import { exportText, servingNotes } from "../export-text.ts";
import { checkWritable } from "../out-folder.ts";
import type { Report } from "../report.ts";
import { openSources } from "../sources.ts";
import { trainedOptions } from "../trained-options.ts";

const { which, plugins, device, threads } = trainedOptions;

/** Options of every export. */
const shared = {
  out: text(null, "the folder to write", { hint: "DIR" }),
  overwrite: toggle(false, "replace the export in --out"),
  which,
  model: text(null, "the base model (default: the one that the adapter or its run names)", {
    hint: "DIR|org/name",
  }),
  baseName: settings.baseName,
  plugins,
  device,
  threads,
};

const formats = ["peft", "lora", "merged", "loralib"] as const satisfies readonly ExportFormat[];

const own = {
  to: choice(
    formats,
    null,
    "peft: as it is; lora: plain LoRA with equal outputs; merged: a full model; loralib: the authors' state dict",
  ),
  uniform: toggle(false, "lora: one rank and one alpha for all modules, as servers read them"),
  canonical: toggle(
    false,
    "increments as exact singular value decompositions (by cuSOLVER with --device cuda, if it is found)",
  ),
  ...shared,
};

const check =
  "What was written is read back and run beside the original on probe inputs. The largest difference is printed; above 1e-5 in f32 nothing is written and the exit code is 1.";

/** `adalora export`: a trained adapter in another format. */
export const exporting = defineCommand({
  usage: "RUN|ADAPTER",
  positionals: 1,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "RUN is a run's folder, ADAPTER the folder of an adapter made here or by PEFT, or its name on the hub.",
    check,
    "lora leaves out modules of rank 0. merged keeps the base's keys, dtypes and files. Without the base model at hand, peft, lora and loralib compare the modules alone.",
  ],
  examples: [
    "adalora export runs/rte --to lora -o rte-lora",
    "adalora export runs/rte --to lora --uniform -o rte-for-vllm",
    "adalora export org/adapter --to merged --model org/base -o merged",
  ],
  run: (line, report) => runExport(line.options, line, report),
});

/** `adalora merge`: `export --to merged`. */
export const merging = defineCommand({
  usage: "RUN|ADAPTER",
  positionals: 1,
  settings: [],
  scripts: false,
  options: shared,
  notes: ["The same as `adalora export --to merged`.", check],
  examples: ["adalora merge runs/rte -o rte-merged"],
  run: (line, report) =>
    runExport({ ...line.options, to: "merged", uniform: false, canonical: false }, line, report),
});

// --- internal ---

async function runExport(
  options: ValuesOf<typeof own>,
  { positionals: [name] }: Pick<CommandLine<typeof shared>, "positionals">,
  report: Report,
): Promise<void> {
  const { to, out, overwrite } = options;
  if (name === undefined) throw errors.missing("adapter", "name a run's folder or an adapter's");
  if (to === null) throw errors.missing("format", `give --to ${formats.join(", --to ")}`);
  if (out === null) throw errors.missing("--out", "-o DIR is the folder to write");
  checkOptions(to, options);
  checkOut(out, overwrite);
  const { openExportSource } = await import("../../core/run/export/source.ts");
  const { exportAdapter } = await import("../../core/run/export/export-adapter.ts");
  const sources = openSources(report);
  const { baseName } = options;
  const needsBase = to === "merged";
  const opened = await openExportSource({ ...options, name, needsBase }, sources);
  checkNotSource(out, opened);
  const source = baseName === null ? opened : renamed(opened, baseName);
  report.stage(`converting to ${to}`);
  const backend = await openBackend({ ...options, dtype: "f32" });
  const exported = exportAdapter(backend, source, {
    ...options,
    to,
    out,
    release: await releasePages(),
    decompose: await openDecompose({ ...options, dtype: "f32" }, (line) => report.info(line)),
  });
  const notes = servingNotes(to, options.uniform, exported, source.adapter);
  for (const note of notes) report.info(note);
  report.result({ to, out, ...exported, notes }, exportText(to, out, exported));
}

/** Names the base model on the hub, "org/name" or "org/name@revision". */
function renamed<S extends { readonly adapter: object }>(source: S, name: string): S {
  const [baseModel = name, revision = null] = name.split("@");
  return { ...source, adapter: { ...source.adapter, baseModel, revision } };
}

function checkOptions(to: ExportFormat, { uniform, canonical }: ValuesOf<typeof own>): void {
  if (uniform && to !== "lora") {
    throw errors.unusable("--uniform", `--to ${to}`, "it makes a LoRA of one rank: use --to lora");
  }
  if (!canonical || (to !== "merged" && !uniform)) return;
  const hint = "the result would be the same";
  throw errors.unusable("--canonical", to === "merged" ? "--to merged" : "--uniform", hint);
}

function checkOut(out: string, overwrite: boolean): void {
  checkWritable(out);
  if (!existsSync(out) || !statSync(out).isDirectory() || readdirSync(out).length === 0) return;
  if (!overwrite) throw errors.out(out, "is not empty", "--overwrite replaces an export in it");
  const { adapter, bestAdapter, model, bestModel } = runFiles;
  const weights: readonly string[] = [adapter, bestAdapter, model, bestModel];
  if (weights.includes(basename(resolve(out))) && runOf(out) !== undefined)
    throw errors.out(out, "holds the weights of a run", "-o DIR writes elsewhere");
}

/** Throws E_OUT where the export would replace what it is made from. */
function checkNotSource(out: string, { dir, base }: ExportSource): void {
  const real = (path: string) => (existsSync(path) ? realpathSync(path) : undefined);
  const sources = [dir, ...(base ? [base.dir, base.tokenizerDir] : [])].map(real);
  if (!sources.includes(real(out) ?? "")) return;
  throw errors.out(out, "is what is exported", "-o DIR writes elsewhere");
}

/** Drops the pages of mapped weights, so that one shard at a time is in memory. */
async function releasePages(): Promise<ReleasePages> {
  const [{ ptr }, { dropFilePages }] = await Promise.all([
    import("bun:ffi"),
    import("../../ffi/memory.ts"),
  ]);
  return (bytes) => {
    if (bytes.length > 0) dropFilePages(ptr(bytes), bytes.length);
  };
}
