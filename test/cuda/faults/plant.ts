/**
 * Preloaded by `bun test`: plants the fault of ADALORA_PLANTED_FAULT, as `Planting` in JSON, in the
 * TypeScript that it concerns.
 */
import process from "node:process";
import { plugin } from "bun";
import { replaceOnce } from "./replace.ts";

/** Replacements in a file below ffi/cuda. */
export interface Planting {
  readonly file: string;
  readonly replacements: readonly (readonly [find: string, replace: string])[];
}

const plantings: Planting[] = JSON.parse(process.env["ADALORA_PLANTED_FAULT"] ?? "[]");

plugin({
  name: "planted faults",
  setup(build) {
    build.onLoad({ filter: /\/ffi\/cuda\/.*\.ts$/ }, async ({ path }) => {
      let contents = await Bun.file(path).text();
      for (const { file, replacements } of plantings) {
        if (!path.endsWith(`/ffi/cuda/${file}`)) continue;
        for (const [find, replace] of replacements) contents = replaceOnce(contents, find, replace);
      }
      return { contents, loader: "ts" };
    });
  },
});
