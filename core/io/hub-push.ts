import { errors } from "../errors.ts";
import { contentHash } from "./hub-hash.ts";
import type { ClientOptions } from "./hub-fetch.ts";
import type { RemoteFile } from "./hub-list.ts";
import { changedMeanwhile, statusIn } from "./hub-push-errors.ts";
import { looksLikeRepo } from "./hub-repo.ts";
import { type Environment, hubSettings, type HubSettings } from "./hub-settings.ts";
import {
  type FileToPush,
  type Head,
  type HubWriter,
  openHubWriter,
  type Visibility,
} from "./hub-writer.ts";

/** What is to be in a repository's main branch. */
export interface Push {
  /** "org/name". */
  readonly name: string;
  readonly files: readonly FileToPush[];
  /** Whether a file of the repository that is not among `files` is to be deleted. */
  isStale(path: string): boolean;
  /** Who may see it; null: private if the push makes it, else as it is. */
  readonly visibility: Visibility | null;
}

/** Options of a push. */
export interface PushOptions extends ClientOptions {
  /** Source of HF_TOKEN and related variables; `process.env` by default. */
  readonly env?: Environment;
  readonly onUpload?: (file: FileToPush) => void;
}

/** The result of a push. */
export interface Pushed {
  readonly url: string;
  /** The newest commit; the push made it unless the repository held the same bytes already. */
  readonly commit: string;
  readonly isNew: boolean;
  readonly visibility: Visibility;
  /** Whether the push made the repository. */
  readonly created: boolean;
  /** Paths that the commit added or replaced, and that it deleted. */
  readonly uploaded: readonly string[];
  readonly deleted: readonly string[];
}

/**
 * Makes a model repository hold the files, in one commit or in none: if it holds the same bytes
 * already, nothing is sent. Makes the repository if there is none. Throws an AdaloraError with what
 * to do if there is no token, if the hub refuses, and if another push came first.
 */
export async function pushFiles(push: Push, options: PushOptions = {}): Promise<Pushed> {
  const { name } = push;
  checkName(name);
  const settings = writableHub(name, options.env ?? process.env);
  const writer = await openHubWriter(name, settings, options);
  const { head, created } = await openRepo(writer, push);
  const changes = await changesTo(await writer.list(head.commit), push);
  const result = { url: writer.url, visibility: head.visibility, created };
  if (isEmpty(changes)) return unchanged(result, head);
  try {
    const title = "Upload with adalora";
    const commit = await writer.commit(
      { title, parent: head.commit, files: changes.files, deleted: changes.deleted },
      options.onUpload,
    );
    const uploaded = changes.files.map(({ path }) => path);
    return { ...result, commit, isNew: true, uploaded, deleted: changes.deleted };
  } catch (error) {
    const status = statusIn(error);
    if (status !== 409 && status !== 412) throw error;
    // Another push of the same bytes, or an answer to this one that was lost: both are a success.
    const newer = await writer.head();
    if (newer === undefined || newer.commit === head.commit) throw error;
    const left = await changesTo(await writer.list(newer.commit), push);
    if (!isEmpty(left)) throw changedMeanwhile(name, error);
    return unchanged(result, newer);
  }
}

/** Throws E_HUB for a name that no repository can have: it must be "org/name". */
export function checkName(name: string): void {
  if (looksLikeRepo(name) && name.includes("/") && !name.includes("@")) return;
  throw errors.hub(name, "is not a name for a repository", "give org/name, or your account's name");
}

// --- internal ---

interface Changes {
  readonly files: readonly FileToPush[];
  readonly deleted: readonly string[];
}

const isEmpty = ({ files, deleted }: Changes) => files.length === 0 && deleted.length === 0;

type Result = Pick<Pushed, "url" | "visibility" | "created">;

const unchanged = (result: Result, { commit }: Head): Pushed => ({
  ...result,
  commit,
  isNew: false,
  uploaded: [],
  deleted: [],
});

/** The settings of a hub that may be written to. Throws E_HUB when offline or without a token. */
function writableHub(name: string, env: Environment): HubSettings {
  const settings = hubSettings(env);
  if (settings.offline) {
    const rule = "cannot be pushed to: HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE is set";
    throw errors.hub(name, rule, "unset it");
  }
  if (settings.token === undefined) {
    const where = settings.endpoint ?? "https://huggingface.co";
    const hint = `set HF_TOKEN to a token with write access: ${where}/settings/tokens`;
    throw errors.hub(name, "cannot be pushed to without a token", hint);
  }
  return settings;
}

/** The repository's newest commit, after making the repository if there is none. */
async function openRepo(
  writer: HubWriter,
  { name, visibility }: Push,
): Promise<{ head: Head; created: boolean }> {
  const found = await writer.head();
  const created = found === undefined && (await writer.create(visibility ?? "private"));
  const head = found ?? (await writer.head());
  if (head === undefined) {
    const rule = "exists, but the token may not see it";
    throw errors.hub(name, rule, "use another name, or a token of its owner");
  }
  if (visibility !== null && !created && head.visibility !== visibility) {
    const hint = `change it at ${writer.url}/settings, or push without --${visibility}`;
    throw errors.hub(name, `exists and is ${head.visibility}, not ${visibility}`, hint);
  }
  return { head, created };
}

/** What a commit must change for the repository to hold the files. */
async function changesTo(remote: readonly RemoteFile[], push: Push): Promise<Changes> {
  const there = new Map(remote.map((file) => [file.path, file]));
  const files: FileToPush[] = [];
  for (const file of push.files) {
    if (!(await isSame(file, there.get(file.path)))) files.push(file);
  }
  const kept = new Set(push.files.map(({ path }) => path));
  const deleted = remote.map(({ path }) => path).filter((path) => !kept.has(path));
  return { files, deleted: deleted.filter((path) => push.isStale(path)) };
}

async function isSame({ content }: FileToPush, remote: RemoteFile | undefined): Promise<boolean> {
  if (remote === undefined || remote.size !== content.size) return false;
  return (await contentHash(content, remote.hash)) === remote.hash;
}
