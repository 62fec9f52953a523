import { errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";
import { WEIGHT_FILES } from "./checkpoint-files.ts";
import { looksLikeRepo } from "./hub-repo.ts";
import { ADAPTER_CONFIG, ADAPTER_FACTS, ADAPTER_WEIGHTS, OLD_ADAPTER_WEIGHTS } from "./peft.ts";

const MODEL_CONFIG = "config.json";

/** Files that a tokenizer may need, downloaded where they exist. */
const TOKENIZER_FILES = [
  "added_tokens.json",
  "merges.txt",
  "special_tokens_map.json",
  "spm.model",
  "tokenizer.json",
  "tokenizer_config.json",
  "vocab.json",
  "vocab.txt",
];

/** Whether a path is a file of a tokenizer. */
export const isTokenizerFile = (path: string) => TOKENIZER_FILES.includes(path);

function required(names: readonly string[], candidates: readonly string[], where: string): string {
  const found = candidates.find((name) => names.includes(name));
  if (found !== undefined) return found;
  const listed =
    names
      .slice(0, 8)
      .map((name) => cutText(name))
      .join(", ") || "nothing";
  throw errors.hub(where, `has none of ${candidates.join(", ")}: found ${listed}`);
}

/**
 * Selects the files that a model needs. The weights come last: one file, or an index whose shards
 * the caller adds.
 */
export function modelFiles(names: readonly string[], where: string): string[] {
  const optional = ["generation_config.json", ...TOKENIZER_FILES, ADAPTER_FACTS];
  const extras = optional.filter((name) => names.includes(name));
  return [required(names, [MODEL_CONFIG], where), ...extras, required(names, WEIGHT_FILES, where)];
}

/**
 * Selects the files that a PEFT adapter in a folder of the repository needs, with its facts and
 * tokenizer where they exist; "" is its root.
 */
export function adapterFiles(names: readonly string[], where: string, folder: string): string[] {
  const inFolder = (name: string) => (folder === "" ? name : `${folder}/${name}`);
  const config = inFolder(ADAPTER_CONFIG);
  if (!names.includes(config)) {
    const [first, ...others] = foldersWith(names, ADAPTER_CONFIG);
    if (first !== undefined) throw severalAdapters(where, folder, [first, ...others]);
  }
  const weights = [ADAPTER_WEIGHTS, OLD_ADAPTER_WEIGHTS].map(inFolder);
  const extras = [ADAPTER_FACTS, ...TOKENIZER_FILES]
    .map(inFolder)
    .filter((name) => names.includes(name));
  return [required(names, [config], where), ...extras, required(names, weights, where)];
}

/** The folders that a file is in, by the paths of all files. */
const foldersWith = (paths: readonly string[], name: string) =>
  paths.flatMap((path) => (path.endsWith(`/${name}`) ? path.slice(0, -name.length - 1) : []));

function severalAdapters(where: string, folder: string, found: readonly string[]) {
  const [name = "", ...revision] = where.split("@");
  const shown = found.slice(0, 8).map((each) => cutText(each));
  const list = [...shown, ...(found.length > 8 ? ["…"] : [])].join(", ");
  const at = folder === "" ? "its root" : cutText(folder);
  const example = [`${name}/${shown[0]}`, ...revision].join("@");
  return errors.hub(where, `has no adapter in ${at}, but in ${list}`, `name one: ${example}`);
}

interface ParquetShard {
  readonly path: string;
  readonly folder: string;
  readonly split: string;
  /** How many files the split has; undefined when the name does not state it. */
  readonly shardCount: number | undefined;
}

/**
 * Matches rte/train-00000-of-00001.parquet, data/train.parquet, and default/train/0000.parquet (the
 * hub's automatic conversion).
 */
const PARQUET =
  /^(?<folder>(?:[\w.-]+\/)*)(?:(?<plain>(?!\d+\.parquet$)[\w.]+?)(?:-\d{5}-of-(?<count>\d{5}))?|(?:partial-)?(?<converted>[\w.]+)\/\d{4,5})\.parquet$/;

function parseParquet(path: string): ParquetShard | undefined {
  const { folder = "", plain, count, converted } = PARQUET.exec(path)?.groups ?? {};
  const split = converted ?? plain;
  if (split === undefined) return undefined;
  return { path, folder, split, shardCount: count === undefined ? undefined : Number(count) };
}

/** Folders that hold the only configuration of a dataset without naming it. */
const UNNAMED_FOLDERS = ["", "data/", "default/"];

function pickFolder(folders: readonly string[], config: string | undefined, where: string): string {
  if (folders.length === 0) {
    const converted = `try the hub's automatic conversion: ${where.split("@")[0]}@refs/convert/parquet`;
    throw errors.hub(where, "has no parquet files", looksLikeRepo(where) ? converted : undefined);
  }
  const candidates = config === undefined ? UNNAMED_FOLDERS : [`${config}/`, `data/${config}/`];
  const found = candidates.find((folder) => folders.includes(folder));
  if (found !== undefined) return found;
  const [only, ...others] = folders;
  if (
    only !== undefined &&
    others.length === 0 &&
    (config === undefined || UNNAMED_FOLDERS.includes(only))
  )
    return only;
  const shown = folders.slice(0, 12).map((folder) => cutText(folder.slice(0, -1)));
  const names = [...shown, ...(folders.length > 12 ? ["…"] : [])].join(", ");
  const rule =
    config === undefined ? "has several configurations" : `has no configuration "${config}"`;
  throw errors.hub(where, `${rule}: found ${names}`);
}

/**
 * Maps each split to its parquet files in order, for one configuration (subset, task) of a dataset.
 */
export function datasetSplits(
  names: readonly string[],
  config: string | undefined,
  where: string,
): Map<string, string[]> {
  const shards = names.map(parseParquet).filter((shard) => shard !== undefined);
  const folder = pickFolder(
    [...new Set(shards.map((shard) => shard.folder))].toSorted(),
    config,
    where,
  );
  const splits = Map.groupBy(
    shards.filter((shard) => shard.folder === folder),
    ({ split }) => split,
  );
  return new Map(
    [...splits].map(([split, files]) => {
      const expected = files[0]?.shardCount ?? files.length;
      if (files.length === expected) return [split, files.map(({ path }) => path).toSorted()];
      throw errors.hub(where, `has ${files.length} of the ${expected} files of split "${split}"`);
    }),
  );
}
