import { join } from "node:path";
import { AdaloraError, errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { type CachedRepo, listFolder, openCachedRepo } from "./hub-cache.ts";
import { type HubClient, openHub } from "./hub-client.ts";
import { downloadBlob, type DownloadProgress } from "./hub-download.ts";
import type { ClientOptions } from "./hub-fetch.ts";
import { adapterFiles, datasetSplits, isTokenizerFile, modelFiles } from "./hub-files.ts";
import type { RemoteFile } from "./hub-list.ts";
import {
  isCommit,
  parseRepo,
  type Repo,
  type RepoType,
  showRepo,
  splitFolder,
} from "./hub-repo.ts";
import { type Environment, hubSettings, type HubSettings } from "./hub-settings.ts";
import { isFolder, statOf } from "./regular-file.ts";
import { readShardIndex } from "./shard-index.ts";

/** Options of the `resolve…` functions. */
export interface HubOptions extends ClientOptions {
  /** Source of HF_HOME, HF_TOKEN and related variables; `process.env` by default. */
  readonly env?: Environment;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** A model, adapter or dataset as a local folder. */
export interface Resolved {
  readonly dir: string;
  /**
   * "folder" for a local path, "cache" when the hub was not contacted, "hub" when it was (even if
   * nothing new was downloaded).
   */
  readonly source: "folder" | "cache" | "hub";
  /** The commit on the hub; undefined for a folder. */
  readonly commit: string | undefined;
  /** Why the cache was used although the hub should have been; to be shown to the user. */
  readonly warning: string | undefined;
}

/**
 * Selects the needed files from the names of all files; throws an AdaloraError when one is missing.
 */
export type FileSelector = (names: readonly string[], where: string) => readonly string[];

/** The shards of the selected weights, when those are an index, which must be in `dir` already. */
function shardsOf(
  selected: readonly string[],
  dir: string,
  names: readonly string[],
  where: string,
): readonly string[] {
  const index = selected.find((name) => name.endsWith(".index.json"));
  if (index === undefined) return [];
  const { files } = readShardIndex(join(dir, index));
  const listed = new Set(names);
  const missing = files.find((file) => !listed.has(file));
  if (missing === undefined) return files;
  throw errors.hub(
    where,
    `${index} names ${excerpt(missing)}, which is missing`,
    "run again without HF_HUB_OFFLINE",
  );
}

/**
 * The commit's snapshot if the cache holds every needed file; otherwise throws an error naming what
 * is missing.
 */
function fromCache(cached: CachedRepo, repo: Repo, select: FileSelector): Resolved {
  const where = showRepo(repo);
  const { commit } = cached;
  if (commit === undefined) {
    throw errors.hub(
      where,
      "is not in the cache",
      "run once without HF_HUB_OFFLINE, or use a local folder",
    );
  }
  const dir = cached.snapshot(commit);
  const names = listFolder(dir);
  const inCache = `${where} in the cache`;
  shardsOf(select(names, inCache), dir, names, inCache);
  return { dir, source: "cache", commit, warning: undefined };
}

function isComplete(cached: CachedRepo, repo: Repo, select: FileSelector): boolean {
  try {
    fromCache(cached, repo, select);
    return true;
  } catch (error) {
    if (error instanceof AdaloraError) return false;
    throw error;
  }
}

interface FetchContext {
  readonly client: HubClient;
  readonly cached: CachedRepo;
  readonly commit: string;
  readonly where: string;
  readonly settings: HubSettings;
  readonly options: HubOptions;
}

async function fetchFiles(files: readonly RemoteFile[], context: FetchContext): Promise<void> {
  const { client, cached, commit, where, settings, options } = context;
  const { onProgress } = options;
  for (const file of files) {
    // A file of another size is what a full disk or a crash has left of it.
    const isWhole = (path: string) => statOf(path)?.size === file.size;
    if (isWhole(join(cached.snapshot(commit), file.path))) continue;
    const blob = cached.blob(file.hash);
    const { timeout } = settings;
    if (!isWhole(blob))
      await downloadBlob({ client, commit, file, blob, where, timeout, onProgress });
    cached.link(commit, file.path, file.hash);
  }
}

async function fromHub(
  cached: CachedRepo,
  repo: Repo,
  select: FileSelector,
  settings: HubSettings,
  options: HubOptions,
): Promise<Resolved> {
  const where = showRepo(repo);
  const client = await openHub(repo, settings, options);
  const commit = await client.commit();
  const listed = await client.list(commit, "all");
  const names = listed.map(({ path }) => path);
  const pick = (paths: readonly string[]) => {
    const picked = new Set(paths);
    return listed.filter(({ path }) => picked.has(path));
  };
  const context = { client, cached, commit, where, settings, options };
  const selected = select(names, where);
  const dir = cached.snapshot(commit);
  await fetchFiles(pick(selected), context);
  await fetchFiles(pick(shardsOf(selected, dir, names, where)), context);
  // Last, so that a revision never points at an incomplete snapshot.
  cached.setCommit(commit);
  return { dir, source: "hub", commit, warning: undefined };
}

/** Whether a commit's cached snapshot can be used without a look at the hub. */
function needsNoHub(cached: CachedRepo, repo: Repo, select: FileSelector): boolean {
  if (!isCommit(repo.revision) || !isComplete(cached, repo, select)) return false;
  // A part of the model that was pulled alone lacks what this selection takes where it exists.
  return select !== modelFiles || listFolder(cached.snapshot(repo.revision)).some(isTokenizerFile);
}

/**
 * The snapshot of a repository with the selected files, from the hub or, without a network or when
 * offline, from the cache.
 */
export async function resolveRepo(
  repo: Repo,
  select: FileSelector,
  options: HubOptions,
): Promise<Resolved> {
  const settings = hubSettings(options.env ?? process.env);
  const cached = openCachedRepo(settings.cache, repo);
  // A commit never changes, so a complete snapshot needs no request.
  if (settings.offline || needsNoHub(cached, repo, select)) return fromCache(cached, repo, select);
  try {
    return await fromHub(cached, repo, select, settings, options);
  } catch (error) {
    const isUnreachable = error instanceof AdaloraError && error.code === "E_HUB_UNREACHABLE";
    if (isUnreachable && isComplete(cached, repo, select)) {
      const warning = `${error.message}; using the copy in the cache`;
      return { ...fromCache(cached, repo, select), warning };
    }
    throw errorCode(error) === undefined ? error : fileError(settings.cache, error);
  }
}

async function resolve(
  spec: string,
  type: RepoType,
  select: FileSelector,
  options: HubOptions,
): Promise<Resolved> {
  if (isFolder(spec)) return { dir: spec, source: "folder", commit: undefined, warning: undefined };
  if (/^[./~]/.test(spec)) throw errors.file(spec, "no such folder");
  return resolveRepo(parseRepo(spec, type), select, options);
}

/**
 * The folder of a model. `spec` is a local folder, or "org/name" or "org/name@revision" on the hub.
 * Downloads what the standard cache lacks: config.json, tokenizer files, and the preferred form of
 * the weights with its shards. Without a network a complete cached copy is used, with a warning;
 * HF_HUB_OFFLINE=1 uses the cache only. Throws an AdaloraError with a hint when something is
 * missing, private or damaged.
 */
export function resolveModel(spec: string, options: HubOptions = {}): Promise<Resolved> {
  return resolve(spec, "model", modelFiles, options);
}

/**
 * The folder of a PEFT adapter, resolved like `resolveModel`. One of several adapters in a repository
 * is named by its path: "org/name/folder" or "org/name/folder@revision".
 */
export async function resolveAdapter(spec: string, options: HubOptions = {}): Promise<Resolved> {
  const { repo, folder } = isFolder(spec) ? { repo: spec, folder: "" } : splitFolder(spec);
  const select: FileSelector = (names, where) => adapterFiles(names, where, folder);
  const resolved = await resolve(repo, "model", select, options);
  return { ...resolved, dir: join(resolved.dir, folder) };
}

/**
 * A dataset as a local folder, with the parquet files of each split ("train", "validation_matched")
 * in order.
 */
interface ResolvedDataset extends Resolved {
  readonly splits: ReadonlyMap<string, readonly string[]>;
}

/**
 * The parquet files of a dataset ("nyu-mll/glue", or a folder with the same layout) for one
 * configuration (a GLUE task, a version); without `config`, its only one. Resolved, cached and
 * checked like `resolveModel`.
 */
export async function resolveDataset(
  spec: string,
  config: string | undefined,
  options: HubOptions = {},
): Promise<ResolvedDataset> {
  const select: FileSelector = (names, where) =>
    [...datasetSplits(names, config, where).values()].flat();
  const resolved = await resolve(spec, "dataset", select, options);
  const splits = datasetSplits(listFolder(resolved.dir), config, spec);
  const absolute = [...splits].map(([split, files]) => {
    return [split, files.map((file) => join(resolved.dir, file))] as const;
  });
  return { ...resolved, splits: new Map(absolute) };
}
