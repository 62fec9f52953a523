import { text } from "../../core/config/setting.ts";
import { errors } from "../../core/errors.ts";
import { openDecompose } from "../backend.ts";
import { defineCommand } from "../command.ts";
import { inspectText } from "../inspect-text.ts";
import { openSources } from "../sources.ts";
import { trainedOptions } from "../trained-options.ts";

const own = {
  which: trainedOptions.which,
  model: text(null, "the base model, to show each increment's share of its weight", {
    hint: "DIR|org/name",
  }),
  plugins: trainedOptions.plugins,
  device: {
    ...trainedOptions.device,
    about:
      "where singular values are computed: on the CPU, or with cuda by cuSOLVER, if it is found",
  },
};

/** `adalora inspect`: what an adapter holds, read from its files alone. */
export const inspect = defineCommand({
  usage: "RUN|ADAPTER",
  positionals: 1,
  settings: [],
  scripts: false,
  options: own,
  notes: [
    "Shows the rank of each module as a heat map, the singular values of its increment s·B·diag(E)·A, how far B and A are from orthonormal, the sizes as AdaLoRA and as LoRA, and the budget's history where the run's log is there.",
    "Reads the adapter alone; with --model also the weights that it adapts.",
  ],
  examples: [
    "adalora inspect runs/rte",
    "adalora inspect org/adapter --model org/base",
    "adalora inspect runs/rte --which best --json",
  ],

  async run({ positionals: [name], options }, report) {
    if (name === undefined) throw errors.missing("adapter", "name a run's folder or an adapter's");
    const { inspectAdapter } = await import("../../core/run/inspect-adapter.ts");
    const { openExportSource, openAdapterSource } = await import("../../core/run/export/source.ts");
    const note = (line: string) => report.info(line);
    const decompose = await openDecompose({ ...options, dtype: "auto" }, note);
    const sources = openSources(report);
    const source =
      options.model === null
        ? await openAdapterSource(name, options.which, sources)
        : await openExportSource({ ...options, name, needsBase: true }, sources);
    const inspected = inspectAdapter(source, source.base, decompose);
    report.result(inspected, inspectText(inspected, report.stdout));
  },
});
