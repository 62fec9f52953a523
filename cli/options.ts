import { integers, toggle } from "../core/config/setting.ts";

/** What every command has. */
export const commonOptions = {
  json: toggle(false, "print one JSON object on stdout; remarks and errors' text stay on stderr"),
  quiet: toggle(false, "print results, warnings and errors only"),
};

/** How `run` treats its folder, and how often it runs. */
export const runOptions = {
  resume: toggle(false, "go on with the run in --out, from its newest whole checkpoint"),
  overwrite: toggle(false, "replace the run in --out", { also: ["overwrite-output-dir"] }),
  seeds: integers(
    "run once with each of these seeds, in seed-N of --out, and report mean and deviation",
  ),
};
