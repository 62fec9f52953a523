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
  const requests = { where: name, endpoint: hubUrl, settings, options };
  const send = hubFetch({
    ...requests,
    statusError: (response) => pushError(response, name, hubUrl, settings.token),
    unreachableHint: `check the network, then ${PUSH_AGAIN}`,
  });
  const limits = { bytes: MAX_JSON_BYTES, timeout: settings.timeout };
  const ask: HubFetch = async (input, init) => withReadBody(await send(input, init), limits, name);
  const access = { hubUrl, accessToken: PLACEHOLDER };
  const shared = { ...access, fetch: asFetch(ask) };
  const repo = { type: "model" as const, name };
  const checked = (commit: unknown): string => {
    if (typeof commit === "string" && isCommit(commit)) return commit;
    throw errors.hub(name, `${hubUrl} returned no commit: ${excerpt(commit)}`);
  };

  return {
    url: `${hubUrl}/${name}`,

    async head() {
      const query = { ...shared, name, revision: "main", additionalFields: ["sha" as const] };
      try {
        const info = await expectHubAnswer<{ sha: string; private: unknown }>(
          hub.modelInfo(query),
          requests,
        );
        const visibility = info.private === true ? "private" : "public";
        return { commit: checked(info.sha), visibility };
      } catch (error) {
        if (statusIn(error) === 404) return undefined;
        throw error;
      }
    },

    list(commit) {
      const entries = hub.listFiles({ ...shared, repo, recursive: true, revision: commit });
      return expectHubAnswer(collectFiles(entries, name, 10 * settings.timeout), requests);
    },

    async create(visibility) {
      try {
        await expectHubAnswer(hub.createRepo({ ...shared, repo, visibility }), requests);
        return true;
      } catch (error) {
        if (statusIn(error) === 409) return false;
        throw error;
      }
    },

    async commit({ title, parent, files, deleted }, onUpload) {
      const operations = [
        ...files.map((file) => ({ operation: "addOrUpdate" as const, ...file })),
        ...deleted.map((path) => ({ operation: "delete" as const, path })),
      ];
      const target = { repo, branch: "main", parentCommit: parent };
      const once = asFetch(untilFirstFailure(ask));
      const events = hub.commitIter({
        ...access,
        ...target,
        fetch: once,
        title,
        operations,
        useXet: false,
      });
      const onFile = (path: string) => {
        const file = files.find((one) => one.path === path);
        if (file) onUpload?.(file);
      };
      return checked(await expectHubAnswer(committed(events, onFile), requests));
    },
  };
}

// --- internal ---

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

const asFetch = (ask: HubFetch) => Object.assign(ask, { preconnect: fetch.preconnect });

/**
 * A fetch whose requests stay without an answer once one of them has failed. The library sends
 * several at a time and waits for the first failure alone: a second one would be an unhandled
 * rejection, and an answer would let it go on with a file of a push that has failed.
 */
function untilFirstFailure(ask: HubFetch): HubFetch {
  let hasFailed = false;
  const never = new Promise<never>(() => {});
  return async (input, init) => {
    if (hasFailed) return never;
    try {
      const response = await ask(input, init);
      return hasFailed ? await never : response;
    } catch (error) {
      if (hasFailed) return never;
      hasFailed = true;
      throw error;
    }
  };
}
