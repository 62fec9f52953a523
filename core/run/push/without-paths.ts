import { basename } from "node:path";
import { editedJson } from "../../io/json-edit.ts";
import { readJsonObject } from "../../io/json-file.ts";
import { isLocalPath } from "../../io/private-text.ts";

/**
 * Fields in which transformers and PEFT record where a file was loaded from, each with the value
 * that means "unknown". Loading does not need them.
 */
const ORIGINS: Readonly<Record<string, Readonly<Record<string, string | null>>>> = {
  "adapter_config.json": { base_model_name_or_path: null },
  "config.json": { _name_or_path: "" },
  "generation_config.json": { _name_or_path: "" },
  "tokenizer_config.json": {
    name_or_path: "",
    special_tokens_map_file: null,
    tokenizer_file: null,
    vocab_file: null,
  },
};

/**
 * The text of a configuration without the local paths in such fields; undefined if it has none, or
 * is another file. Numbers keep their spelling.
 */
export function withoutPaths(path: string): string | undefined {
  const origins = ORIGINS[basename(path)];
  if (origins === undefined) return undefined;
  const raw = readJsonObject(path);
  const paths = Object.entries(origins).filter(([name]) => {
    const value = raw[name];
    return typeof value === "string" && isLocalPath(value);
  });
  return paths.length === 0 ? undefined : editedJson(path, Object.fromEntries(paths));
}
