import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeBagModel, writeBagPlugin } from "../../test/helpers/bag-plugin.ts";

/**
 * Writes a folder from which a plugin's family trains: its file, a model, data, and `words`, the
 * flags of the run. The paths in `words` begin with CASE, the folder's place where it is used.
 */
export function writePluginCase(folder: string): void {
  writeBagPlugin(folder);
  writeBagModel(join(folder, "model"));
  mkdirSync(join(folder, "data"));
  for (const name of ["train", "dev"]) writeFileSync(join(folder, `data/${name}.tsv`), rows());
  const flags =
    "run rte --plugin CASE/bag.ts --model CASE/model --data CASE/data --modules dense " +
    "--max-steps 8 --batch-size 4 --init-rank 3 --max-length 32 --threads 2 --device cpu";
  writeFileSync(join(folder, "words"), `${flags}\n`);
}

// --- internal ---

/** RTE's columns, with words of the tiny tokenizer. */
function rows(): string {
  const animals = ["cat", "dog", "moon"];
  const lines = Array.from({ length: 12 }, (_, i) => {
    const label = i % 2 === 0 ? "entailment" : "not_entailment";
    return `${i}\tthe ${animals[i % 3]} looked\ta ${animals[(i + 1) % 3]} saw ${i}\t${label}\n`;
  });
  return `index\tsentence1\tsentence2\tlabel\n${lines.join("")}`;
}
