import { join } from "node:path";
import { errors } from "../errors.ts";
import { adapterFiles, isTokenizerFile, modelFiles } from "./hub-files.ts";
import { parseRepo, splitFolder } from "./hub-repo.ts";
import { type FileSelector, type HubOptions, type Resolved, resolveRepo } from "./hub.ts";
import { ADAPTER_CONFIG } from "./peft.ts";

/** A part of a repository that is pulled alone. */
export const pullParts = ["adapter", "weights", "tokenizer"] as const;

/** One of `pullParts`. */
export type PullPart = (typeof pullParts)[number];

/**
 * Downloads an adapter or a model into the standard cache and returns its folder there. `spec` is
 * "org/name", with "/folder" for one of several adapters and with "@revision"; it is never a local
 * folder. `only`: a part of it; null: all that this program and PEFT read. Throws E_HUB if the
 * repository has no such part.
 */
export async function pullRepo(
  spec: string,
  only: PullPart | null,
  options: HubOptions = {},
): Promise<Resolved> {
  const { repo, folder } = splitFolder(spec);
  const select: FileSelector = (names, where) => filesOf(names, where, folder, only);
  const resolved = await resolveRepo(parseRepo(repo, "model"), select, options);
  return { ...resolved, dir: join(resolved.dir, folder) };
}

// --- internal ---

function filesOf(
  names: readonly string[],
  where: string,
  folder: string,
  only: PullPart | null,
): readonly string[] {
  const prefix = folder === "" ? "" : `${folder}/`;
  if (only === "tokenizer") return tokenizerOf(names, where, prefix);
  const isAdapter = folder !== "" || holdsAdapter(names);
  if (only === "adapter" && !isAdapter) {
    throw errors.hub(where, "holds no adapter, but a full model", "pull it without --only adapter");
  }
  const all = isAdapter ? adapterFiles(names, where, folder) : modelFiles(names, where);
  if (only === "weights") return all.filter((name) => CONFIG_OR_WEIGHTS.test(name));
  const card = names.filter((name) => only === null && name === `${prefix}README.md`);
  return [...card, ...all];
}

/** A tokenizer's files, with config.json, by whose model type its class is found. */
function tokenizerOf(names: readonly string[], where: string, prefix: string): readonly string[] {
  const inFolder = names.filter((name) => name.startsWith(prefix));
  const found = inFolder.filter((name) => isTokenizerFile(name.slice(prefix.length)));
  if (found.length === 0) throw errors.hub(where, "has no tokenizer", "pull its base model's");
  return [...inFolder.filter((name) => name === `${prefix}config.json`), ...found];
}

/** Whether a repository holds an adapter in its root, or nothing but adapters in folders. */
function holdsAdapter(names: readonly string[]): boolean {
  if (names.includes(ADAPTER_CONFIG)) return true;
  return (
    !names.includes("config.json") && names.some((name) => name.endsWith(`/${ADAPTER_CONFIG}`))
  );
}

const CONFIG_OR_WEIGHTS =
  /(^|\/)(adapter_config\.json|config\.json|.+\.(safetensors|bin)(\.index\.json)?)$/;
