import type { Command } from "./command.ts";

/** A command that is loaded only when used; the root help page and unknown names load none. */
export interface CommandEntry {
  readonly about: string;
  load(): Promise<Command>;
}

/** Every command, in the order of the help page. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  run: {
    about: "train: model, data, plan, training, evaluation and files in one go",
    load: async () => (await import("./commands/run.ts")).run,
  },
  plan: {
    about: "show what run would do: steps, phases, ranks, parameters, memory",
    load: async () => (await import("./commands/plan.ts")).plan,
  },
  compare: {
    about: "compare methods at equal budgets, paired by seed, with statistics",
    load: async () => (await import("./commands/compare.ts")).compare,
  },
  sweep: {
    about: "choose settings on held-out rows: grid, random, successive halving",
    load: async () => (await import("./commands/sweep.ts")).sweep,
  },
  data: {
    about: "check data without a model: bad rows, classes, lengths, duplicates",
    load: async () => (await import("./commands/data.ts")).data,
  },
  eval: {
    about: "evaluate a trained model on labelled data",
    load: async () => (await import("./commands/eval.ts")).evaluation,
  },
  predict: {
    about: "predict with a trained model: files, stdin, GLUE submissions",
    load: async () => (await import("./commands/predict.ts")).predict,
  },
  export: {
    about: "convert a trained adapter: PEFT, plain LoRA, merged weights, loralib",
    load: async () => (await import("./commands/export.ts")).exporting,
  },
  merge: {
    about: "export --to merged: a full model without adapters",
    load: async () => (await import("./commands/export.ts")).merging,
  },
  push: {
    about: "upload a run, an adapter or a full model to the hub",
    load: async () => (await import("./commands/push.ts")).push,
  },
  pull: {
    about: "download an adapter or a model from the hub, and print its folder",
    load: async () => (await import("./commands/pull.ts")).pull,
  },
  plugin: {
    about: "list the model families, start a new one, check one",
    load: async () => (await import("./commands/plugin.ts")).plugin,
  },
  inspect: {
    about: "show an adapter: ranks, singular values, sizes, orthogonality",
    load: async () => (await import("./commands/inspect.ts")).inspect,
  },
  runs: {
    about: "list runs: task, method, metric, state, and what resumes each",
    load: async () => (await import("./commands/runs.ts")).runs,
  },
  report: {
    about: "show runs as one HTML page: curves, ranks over time, metrics, settings",
    load: async () => (await import("./commands/report.ts")).report,
  },
  doctor: {
    about: "check libraries, machine and folders, and run a self-test",
    load: async () => (await import("./commands/doctor.ts")).doctor,
  },
  bench: {
    about: "measure speed, memory and start-up time, on request beside PEFT's",
    load: async () => (await import("./commands/bench.ts")).bench,
  },
  completion: {
    about: "print a script that completes commands, flags and their values",
    load: async () => (await import("./commands/completion.ts")).completion,
  },
};
