import { type AdaloraError, errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { withReadBody } from "./hub-body.ts";
import { type ClientOptions, expectHubAnswer, hubFetch } from "./hub-fetch.ts";
import { collectFiles, type RemoteFile } from "./hub-list.ts";
import { isCommit, type Repo, showRepo } from "./hub-repo.ts";
import type { HubSettings } from "./hub-settings.ts";

/** Requests to one repository of the hub. */
export interface HubClient {
  /** The commit that the revision currently resolves to. */
  commit(): Promise<string>;
  /** The files of the commit, in the top folder or in all. */
  list(commit: string, folders: "top" | "all"): Promise<RemoteFile[]>;
  /**
   * The content of a file from byte `from` on: status 206 with that part, or 200 with the whole
   * file.
   */
  get(commit: string, path: string, from: number): Promise<Response>;
}

// A page lists at most 1000 files, with some 300 bytes for each.
const MAX_JSON_BYTES = 2 ** 24;
const MAX_PAGES = 1000;

/** The error for an unsuccessful response, with a hint. */
function statusError(response: Response, repo: Repo, endpoint: string): AdaloraError {
  const where = showRepo(repo);
  const code = response.headers.get("X-Error-Code");
  const { status } = response;
  if (code === "GatedRepo" || status === 403) {
    const page = `${endpoint}/${repo.type === "dataset" ? "datasets/" : ""}${repo.name}`;
    return errors.hub(
      where,
      "is gated: its terms must be accepted first",
      `accept the terms at ${page} and set HF_TOKEN`,
    );
  }
  if (code === "RevisionNotFound") return errors.hub(where, `has no revision "${repo.revision}"`);
  if (code === "EntryNotFound")
    return errors.hub(where, "a listed file no longer exists", "run again");
  if (status === 401 || status === 404) {
    return errors.hub(
      where,
      `no such ${repo.type} at ${endpoint}, or it is private`,
      "check the spelling; for a private one, set HF_TOKEN to a token with read access",
    );
  }
  return errors.hubUnreachable(
    where,
    `${endpoint} answered with status ${status}`,
    "try again later; HF_HUB_OFFLINE=1 uses only the cache",
  );
}

/** Opens one repository of the hub. Loads the hub's library on demand, as few commands need it. */
export async function openHub(
  repo: Repo,
  settings: HubSettings,
  options: ClientOptions,
): Promise<HubClient> {
  const hub = await import("@huggingface/hub");
  const hubUrl = settings.endpoint ?? hub.HUB_URL;
  const where = showRepo(repo);
  const requests = { where, endpoint: hubUrl, settings, options };
  const send = hubFetch({
    ...requests,
    statusError: (response) => statusError(response, repo, hubUrl),
    unreachableHint: "check the network, set HF_ENDPOINT to a mirror, or use a local folder",
  });
  let pages = 0;
  const ask = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    if (++pages > MAX_PAGES)
      throw errors.hub(where, `${hubUrl} lists more than ${MAX_PAGES} pages`);
    const limits = { bytes: MAX_JSON_BYTES, timeout: settings.timeout };
    return withReadBody(await send(input, init), limits, where);
  };
  const shared = { hubUrl, fetch: Object.assign(ask, { preconnect: fetch.preconnect }) };
  return {
    async commit() {
      const { name, revision, type } = repo;
      const query = { ...shared, name, revision, additionalFields: ["sha" as const] };
      const info = type === "model" ? hub.modelInfo(query) : hub.datasetInfo(query);
      const { sha } = await expectHubAnswer<{ sha: string }>(info, requests);
      if (typeof sha === "string" && isCommit(sha)) return sha;
      throw errors.hub(where, `${hubUrl} returned no commit: ${excerpt(sha)}`);
    },
    list(commit, folders) {
      const recursive = folders === "all";
      const entries = hub.listFiles({ ...shared, repo, recursive, revision: commit });
      return expectHubAnswer(collectFiles(entries, where, 10 * settings.timeout), requests);
    },
    get(commit, path, from) {
      const prefix = repo.type === "dataset" ? `datasets/${repo.name}` : repo.name;
      const encoded = path.split("/").map(encodeURIComponent).join("/");
      const headers: Record<string, string> = from > 0 ? { Range: `bytes=${from}-` } : {};
      return send(`${hubUrl}/${prefix}/resolve/${commit}/${encoded}`, { headers });
    },
  };
}
