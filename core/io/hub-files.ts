import { errors } from "../errors.ts";
import { WEIGHT_FILES } from "./checkpoint-files.ts";
import { looksLikeRepo } from "./hub-repo.ts";
import { ADAPTER_CONFIG, ADAPTER_WEIGHTS, OLD_ADAPTER_WEIGHTS } from "./peft.ts";

const MODEL_CONFIG = "config.json";

/** Files that a tokenizer or generation may need, taken where they are. */
const MODEL_EXTRAS = [
  "added_tokens.json",
  "generation_config.json",
  "merges.txt",
  "special_tokens_map.json",
  "spm.model",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "vocab.txt",
];

function required(names: readonly string[], wanted: readonly string[], where: string): string {
  const found = wanted.find((name) => names.includes(name));
  if (found !== undefined) return found;
  const some = names.slice(0, 8).join(", ") || "nothing";
  throw errors.hub(where, `has none of ${wanted.join(", ")}: found ${some}`);
}

/** Of a repository's files, those that a model needs, the weights last: one file, or an index whose shards come on top. */
export function modelFiles(names: readonly string[], where: string): string[] {
  const extras = MODEL_EXTRAS.filter((name) => names.includes(name));
  return [required(names, [MODEL_CONFIG], where), ...extras, required(names, WEIGHT_FILES, where)];
}

/** Of a repository's files, those that a PEFT adapter needs. */
export function adapterFiles(names: readonly string[], where: string): string[] {
  const weights = required(names, [ADAPTER_WEIGHTS, OLD_ADAPTER_WEIGHTS], where);
  return [required(names, [ADAPTER_CONFIG], where), weights];
}

interface ParquetPart {
  readonly path: string;
  readonly folder: string;
  readonly split: string;
  /** How many parts the split has; undefined when the name does not say. */
  readonly parts: number | undefined;
}

/** rte/train-00000-of-00001.parquet, data/train.parquet, or default/train/0000.parquet (the hub's own conversion). */
const PARQUET =
  /^(?<folder>(?:[\w.-]+\/)*)(?:(?<whole>(?!\d+\.parquet$)[\w.]+?)(?:-\d{5}-of-(?<parts>\d{5}))?|(?:partial-)?(?<converted>[\w.]+)\/\d{4,5})\.parquet$/;

function parseParquet(path: string): ParquetPart | undefined {
  const { folder = "", whole, parts, converted } = PARQUET.exec(path)?.groups ?? {};
  const split = converted ?? whole;
  if (split === undefined) return undefined;
  return { path, folder, split, parts: parts === undefined ? undefined : Number(parts) };
}

/** Folders without a configuration's name, where a dataset with only one keeps its files. */
const UNNAMED = ["", "data/", "default/"];

function pickFolder(folders: readonly string[], config: string | undefined, where: string): string {
  if (folders.length === 0) {
    const converted = `try the hub's own conversion: ${where.split("@")[0]}@refs/convert/parquet`;
    throw errors.hub(where, "has no parquet files", looksLikeRepo(where) ? converted : undefined);
  }
  const wanted = config === undefined ? UNNAMED : [`${config}/`, `data/${config}/`];
  const found = wanted.find((folder) => folders.includes(folder));
  if (found !== undefined) return found;
  const [only, ...others] = folders;
  if (only !== undefined && others.length === 0 && (config === undefined || UNNAMED.includes(only)))
    return only;
  const names = folders.map((folder) => folder.slice(0, -1)).join(", ");
  const rule =
    config === undefined ? "has several configurations" : `has no configuration "${config}"`;
  throw errors.hub(where, `${rule}: found ${names}`);
}

/** Split -> its parquet files in order, for one configuration (subset, task) of a dataset. */
export function datasetSplits(
  names: readonly string[],
  config: string | undefined,
  where: string,
): Map<string, string[]> {
  const all = names.map(parseParquet).filter((part) => part !== undefined);
  const folder = pickFolder([...new Set(all.map((part) => part.folder))].toSorted(), config, where);
  const splits = Map.groupBy(
    all.filter((part) => part.folder === folder),
    ({ split }) => split,
  );
  return new Map(
    [...splits].map(([split, parts]) => {
      const want = parts[0]?.parts ?? parts.length;
      if (parts.length === want) return [split, parts.map(({ path }) => path).toSorted()];
      throw errors.hub(where, `has ${parts.length} of the ${want} files of split "${split}"`);
    }),
  );
}
