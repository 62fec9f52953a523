import { integers, toggle } from "../core/train/setting.ts";

/** What every command has. */
export const commonOptions = {
  json: toggle(false, "print one JSON object on stdout; remarks and errors' text stay on stderr"),
  quiet: toggle(false, "print results, warnings and errors only"),
};

/** How `run` treats its folder, and how often it runs. */
export const runOptions = {
  resume: toggle(false, "go on from the newest whole checkpoint in --out"),
  overwrite: toggle(false, "replace the run in --out", { also: ["overwrite-output-dir"] }),
  seeds: integers("run once with each seed, in DIR/seed-N, and report mean and deviation"),
};
