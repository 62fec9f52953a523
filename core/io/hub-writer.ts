import type { CommitOutput, CommitProgressEvent } from "@huggingface/hub";
import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { withReadBody } from "./hub-body.ts";
import { type ClientOptions, expectHubAnswer, type HubFetch, hubFetch } from "./hub-fetch.ts";
import { collectFiles, type RemoteFile } from "./hub-list.ts";
import { PUSH_AGAIN, pushError, statusIn } from "./hub-push-errors.ts";
import { isCommit } from "./hub-repo.ts";
import type { HubSettings } from "./hub-settings.ts";

/** A file to push: its path in the repository and its content, which is read when it is sent. */
export interface FileToPush {
  readonly path: string;
  readonly content: Blob;
}

/** Who may see a repository. */
export type Visibility = "private" | "public";

/** The newest commit of a model repository's main branch. */
export interface Head {
  readonly commit: string;
  readonly visibility: Visibility;
}

/** One commit: files to add or replace, and paths to delete. */
export interface NewCommit {
  readonly title: string;
  /** The commit that it is made on; the hub refuses it if the branch has moved on. */
  readonly parent: string;
  readonly files: readonly FileToPush[];
  readonly deleted: readonly string[];
}

/** Requests that write to one model repository. Every failure is an AdaloraError. */
export interface HubWriter {
  /** The address of the repository's page. */
  readonly url: string;
  /** The main branch; undefined if the token sees no such repository. */
  head(): Promise<Head | undefined>;
  list(commit: string): Promise<RemoteFile[]>;
  /** Makes the repository; returns false if it exists already. */
  create(visibility: Visibility): Promise<boolean>;
  /**
   * Uploads large files, then makes the commit; returns its hash. The branch shows all of it or
   * nothing. `onUpload`: called as the upload of each large file begins.
   */
  commit(commit: NewCommit, onUpload?: (file: FileToPush) => void): Promise<string>;
}

const MAX_JSON_BYTES = 2 ** 24;

// The library sends a token only in headers, which `hubFetch` sets itself; it never sees the real one.
const PLACEHOLDER = "hf_";

/** Opens a model repository, "org/name", for writing. Loads the hub's library on demand. */
export async function openHubWriter(
  name: string,
  settings: HubSettings,
  options: ClientOptions,
): Promise<HubWriter> {
  const hub = await import("@huggingface/hub");
  const hubUrl = settings.endpoint ?? hub.HUB_URL;
  const shared = {
    hubUrl,
    accessToken: PLACEHOLDER,
    fetch: pushFetch(name, hubUrl, settings, options),
  };
  const repo = { type: "model" as const, name };
  const requests = { where: name, endpoint: hubUrl, options, timeoutHint: PUSH_AGAIN };
  const answerOf = <T>(answer: Promise<T>) => expectHubAnswer(answer, requests);
  const checked = (commit: unknown): string => {
    if (typeof commit === "string" && isCommit(commit)) return commit;
    throw errors.hub(name, `${hubUrl} returned no commit: ${excerpt(commit)}`);
  };

  return {
    url: `${hubUrl}/${name}`,

    async head() {
      const query = { ...shared, name, revision: "main", additionalFields: ["sha" as const] };
      const info = await unlessStatus(404, answerOf(hub.modelInfo(query)));
      if (info === undefined) return undefined;
      return { commit: checked(info.sha), visibility: info.private ? "private" : "public" };
    },

    list(commit) {
      const entries = hub.listFiles({ ...shared, repo, recursive: true, revision: commit });
      return answerOf(collectFiles(entries, name, 10 * settings.timeout));
    },

    async create(visibility) {
      const made = answerOf(hub.createRepo({ ...shared, repo, visibility }));
      return (await unlessStatus(409, made)) !== undefined;
    },

    async commit({ title, parent, files, deleted }, onUpload) {
      const operations = [
        ...files.map((file) => ({ operation: "addOrUpdate" as const, ...file })),
        ...deleted.map((path) => ({ operation: "delete" as const, path })),
      ];
      const target = { repo, branch: "main", parentCommit: parent };
      const events = hub.commitIter({ ...shared, ...target, title, operations, useXet: false });
      const onFile = (path: string) => {
        const file = files.find((one) => one.path === path);
        if (file) onUpload?.(file);
      };
      return checked(await answerOf(committed(events, onFile)));
    },
  };
}

// --- internal ---

/** The fetch of a push: every request to the hub and to its storage goes through it. */
function pushFetch(name: string, endpoint: string, settings: HubSettings, options: ClientOptions) {
  const send = hubFetch({
    where: name,
    endpoint,
    settings,
    options,
    statusError: (response) => pushError(response, name, endpoint, settings.token),
    unreachableHint: `check the network, then ${PUSH_AGAIN}`,
  });
  const limits = { bytes: MAX_JSON_BYTES, timeout: settings.timeout };
  const ask: HubFetch = async (input, init) => withReadBody(await send(input, init), limits, name);
  return Object.assign(ask, { preconnect: fetch.preconnect });
}

/** An answer; undefined if the hub refuses with `status`. */
async function unlessStatus<T>(status: number, answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (statusIn(error) === status) return undefined;
    throw error;
  }
}

/** Runs a commit of the library to its end; returns what the hub calls it. */
async function committed(
  events: AsyncGenerator<CommitProgressEvent, CommitOutput | undefined>,
  onFile: (path: string) => void,
): Promise<string | undefined> {
  for (;;) {
    const { done, value } = await events.next();
    if (done === true) return value?.commit.oid;
    const isStart = value.event === "fileProgress" && value.state === "uploading";
    if (isStart && value.progress === 0) onFile(value.path);
  }
}
