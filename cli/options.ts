import { integers, toggle } from "../core/config/setting.ts";

/** Options of every command. */
export const commonOptions = {
  json: toggle(false, "print one JSON object on stdout; messages stay on stderr"),
  quiet: toggle(false, "print results, warnings and errors only"),
};

/** Options of `run` and `plan` about the run's folder and its seeds. */
export const runOptions = {
  resume: toggle(false, "resume the run in --out from its newest intact checkpoint"),
  overwrite: toggle(false, "replace the run in --out", { aliases: ["overwrite-output-dir"] }),
  seeds: integers("run once per seed, in seed-N of --out, and report mean and standard deviation"),
};
