import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { AdaloraError, errors } from "../errors.ts";
import { errorCode, fileError } from "./file-errors.ts";
import { type CachedRepo, listFolder, openCachedRepo } from "./hub-cache.ts";
import { type ClientOptions, type HubClient, openHub, type RemoteFile } from "./hub-client.ts";
import { downloadBlob, type DownloadProgress } from "./hub-download.ts";
import { adapterFiles, datasetSplits, modelFiles } from "./hub-files.ts";
import { isCommit, parseRepo, type Repo, type RepoType, showRepo } from "./hub-repo.ts";
import { type Environment, hubSettings, type HubSettings } from "./hub-settings.ts";
import { readShardIndex } from "./shard-index.ts";

export interface HubOptions extends ClientOptions {
  /** Where HF_HOME, HF_TOKEN and their kin are looked up; `process.env` by default. */
  readonly env?: Environment;
  readonly onProgress?: (progress: DownloadProgress) => void;
}

/** A model, adapter or dataset as a local folder. */
export interface Resolved {
  readonly dir: string;
  /** The folder that was named, the cache without a look at the hub, or the hub (which may have sent nothing new). */
  readonly source: "folder" | "cache" | "hub";
  /** The commit of the hub; undefined for a folder. */
  readonly commit: string | undefined;
  /** Why the cache was used although the hub was asked; to be shown to the user. */
  readonly warning: string | undefined;
}

/** Given the names of all files, those that are needed; an AdaloraError when a needed one is not among them. */
type FileSelector = (names: readonly string[], where: string) => readonly string[];

const isFolder = (path: string) =>
  statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;

/** The shards that the chosen weights consist of when they are an index, which must be in `dir` already. */
function shardsOf(
  selected: readonly string[],
  dir: string,
  names: readonly string[],
  where: string,
): readonly string[] {
  const index = selected.find((name) => name.endsWith(".index.json"));
  if (index === undefined) return [];
  const { files } = readShardIndex(join(dir, index));
  const missing = files.find((file) => !names.includes(file));
  if (missing === undefined) return files;
  throw errors.hub(
    where,
    `${index} names "${missing}", which is not there`,
    "run again without HF_HUB_OFFLINE",
  );
}

/** The snapshot of a commit when everything that is needed is in the cache, else an error that says what is not. */
function fromCache(cached: CachedRepo, repo: Repo, select: FileSelector): Resolved {
  const where = showRepo(repo);
  const { commit } = cached;
  if (commit === undefined) {
    throw errors.hub(
      where,
      "is not in the cache",
      "run once without HF_HUB_OFFLINE, or give a local folder",
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
    if (existsSync(join(cached.snapshot(commit), file.path))) continue;
    const blob = cached.blob(file.hash);
    const { timeout } = settings;
    if (!existsSync(blob))
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
  const listed = await client.list(commit);
  const names = listed.map(({ path }) => path);
  const pick = (requested: readonly string[]) =>
    listed.filter(({ path }) => requested.includes(path));
  const context = { client, cached, commit, where, settings, options };
  const selected = select(names, where);
  const dir = cached.snapshot(commit);
  await fetchFiles(pick(selected), context);
  await fetchFiles(pick(shardsOf(selected, dir, names, where)), context);
  // Last, so that a revision never points at a snapshot that was not finished.
  cached.setCommit(commit);
  return { dir, source: "hub", commit, warning: undefined };
}

async function resolve(
  spec: string,
  type: RepoType,
  select: FileSelector,
  options: HubOptions,
): Promise<Resolved> {
  if (isFolder(spec)) return { dir: spec, source: "folder", commit: undefined, warning: undefined };
  if (/^[./~]/.test(spec)) throw errors.file(spec, "there is no such folder");
  const repo = parseRepo(spec, type);
  const settings = hubSettings(options.env ?? process.env);
  const cached = openCachedRepo(settings.cache, repo);
  // A commit never changes, so its snapshot needs no look at the hub.
  const isCachedCommit = isCommit(repo.revision) && isComplete(cached, repo, select);
  if (settings.offline || isCachedCommit) return fromCache(cached, repo, select);
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

/**
 * The folder of a model: `spec` itself when it is a folder, else "org/name" or "org/name@revision" of the hub, downloaded into the
 * standard cache as far as it is not there: config.json, tokenizer files, and the preferred form of the weights with its shards.
 * Without a network a complete cached copy is used, with a warning; HF_HUB_OFFLINE=1 does not look further than the cache.
 * What is missing, private or damaged is an AdaloraError that says what to do.
 */
export function resolveModel(spec: string, options: HubOptions = {}): Promise<Resolved> {
  return resolve(spec, "model", modelFiles, options);
}

/** The folder of a PEFT adapter, found as `resolveModel` finds a model. */
export function resolveAdapter(spec: string, options: HubOptions = {}): Promise<Resolved> {
  return resolve(spec, "model", adapterFiles, options);
}

/** A dataset as a local folder, and for each split ("train", "validation_matched") its parquet files in order. */
interface ResolvedDataset extends Resolved {
  readonly splits: ReadonlyMap<string, readonly string[]>;
}

/**
 * The parquet files of a dataset ("nyu-mll/glue", or a folder laid out like one), of one configuration (a GLUE task, a version);
 * without `config` the only one it has. Found, cached and checked as `resolveModel` does.
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
