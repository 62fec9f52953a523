import { statSync } from "node:fs";
import { errors } from "../core/errors.ts";
import type { Sources } from "../core/train/prepare.ts";

/** Models and data from the disk, model families from the plugins. */
export async function localSources(): Promise<Sources> {
  return {
    plugins: await import("../plugins/index.ts"),

    model(name) {
      if (statSync(name, { throwIfNoEntry: false })?.isDirectory()) return Promise.resolve(name);
      throw errors.file(
        name,
        "there is no such folder",
        "--model DIR names a folder with config.json, the weights and the tokenizer's files",
      );
    },

    data(name, task) {
      if (name !== null) return Promise.resolve(name);
      const folder = task === undefined ? "" : `, such as GLUE's ${task.folder} folder`;
      throw errors.missing("data", `--data PATH names a folder with train and dev files${folder}`);
    },
  };
}
