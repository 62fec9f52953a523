import { AdaloraError, errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { errorCode } from "./file-errors.ts";
import { withReadBody } from "./hub-body.ts";
import { collectFiles, type RemoteFile } from "./hub-list.ts";
import { isCommit, type Repo, showRepo } from "./hub-repo.ts";
import type { HubSettings } from "./hub-settings.ts";

/** Requests to one repository of the hub. */
export interface HubClient {
  /** The commit that the revision currently resolves to. */
  commit(): Promise<string>;
  /** All files of the commit. */
  list(commit: string): Promise<RemoteFile[]>;
  /**
   * The content of a file from byte `from` on: status 206 with that part, or 200 with the whole
   * file.
   */
  get(commit: string, path: string, from: number): Promise<Response>;
}

/** Options of a hub client. */
export interface ClientOptions {
  readonly signal?: AbortSignal | undefined;
  /** Delay before the second attempt, in milliseconds; doubles with each further attempt. */
  readonly retryDelay?: number | undefined;
}

const MAX_ATTEMPTS = 4;
const RETRY_DELAY = 500;
const MAX_RETRY_DELAY = 30_000;
const MAX_REDIRECTS = 8;
// A page lists at most 1000 files, with some 300 bytes for each.
const MAX_JSON_BYTES = 2 ** 24;
const MAX_PAGES = 1000;
const RETRYABLE_STATUS = new Set([408, 429, 500, 502, 503, 504]);
const RETRYABLE_CODES = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ConnectionClosed"]);

function describeFailure(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") return "no answer in time";
  const code = errorCode(error);
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the host name cannot be resolved";
  if (code === "ECONNRESET") return "connection closed";
  return code ?? (error instanceof Error ? error.message : String(error));
}

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

async function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await Bun.sleep(milliseconds);
  signal?.throwIfAborted();
}

/** Waits at most `timeout` milliseconds for the headers; the body has no limit here. */
async function fetchHeaders(
  url: URL,
  init: RequestInit,
  timeout: number,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const timer = new AbortController();
  const handle = setTimeout(() => timer.abort(new DOMException("", "TimeoutError")), timeout);
  const signals = signal === undefined ? [timer.signal] : [timer.signal, signal];
  try {
    return await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.any(signals) });
  } finally {
    clearTimeout(handle);
  }
}

function retryDelayFrom(response: Response, delay: number): number {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return Math.min(seconds >= 0 ? seconds * 1000 : delay, MAX_RETRY_DELAY);
}

/**
 * A fetch for one endpoint. Sends the token to the endpoint only, never to a redirect's host;
 * retries transient failures, and turns every failure into an AdaloraError about the repository.
 */
function hubFetch(repo: Repo, endpoint: string, settings: HubSettings, options: ClientOptions) {
  const { signal, retryDelay = RETRY_DELAY } = options;
  const origin = new URL(endpoint).origin;

  const follow = async (start: URL, init: RequestInit): Promise<Response> => {
    let url = start;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const headers = new Headers(init.headers);
      headers.set("User-Agent", "adalora");
      headers.set("Accept-Encoding", "identity");
      headers.delete("Authorization");
      if (settings.token !== undefined && url.origin === origin) {
        headers.set("Authorization", `Bearer ${settings.token}`);
      }
      const response = await fetchHeaders(url, { ...init, headers }, settings.timeout, signal);
      const location = response.headers.get("Location");
      if (response.status < 300 || response.status >= 400 || location === null) return response;
      await response.body?.cancel();
      url = redirected(location, url, repo);
    }
    throw errors.hub(showRepo(repo), `${endpoint} redirects more than ${MAX_REDIRECTS} times`);
  };

  return async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(input instanceof Request ? input.url : input);
    for (let attempt = 1; ; attempt++) {
      const delay = retryDelay * 2 ** (attempt - 1);
      try {
        const response = await follow(url, init);
        if (response.ok) return response;
        await response.body?.cancel();
        const error = statusError(response, repo, endpoint);
        if (!RETRYABLE_STATUS.has(response.status) || attempt === MAX_ATTEMPTS) throw error;
        await sleep(retryDelayFrom(response, delay), signal);
      } catch (error) {
        if (error instanceof AdaloraError || signal?.aborted === true) throw error;
        if (!RETRYABLE_CODES.has(errorCode(error) ?? "") || attempt === MAX_ATTEMPTS) {
          throw errors.hubUnreachable(
            showRepo(repo),
            `cannot reach ${endpoint}: ${describeFailure(error)}`,
            "check the network, set HF_ENDPOINT to a mirror, or use a local folder",
            error,
          );
        }
        await sleep(delay, signal);
      }
    }
  };
}

/** Where a redirect leads: only to a web address, as Bun's fetch would read local files too. */
function redirected(location: string, from: URL, repo: Repo): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (url?.protocol === "https:" || url?.protocol === "http:") return url;
  throw errors.hub(showRepo(repo), `${from.origin} redirects to ${excerpt(location)}`);
}

/** Opens one repository of the hub. Loads the hub's library on demand, as few commands need it. */
export async function openHub(
  repo: Repo,
  settings: HubSettings,
  options: ClientOptions,
): Promise<HubClient> {
  const hub = await import("@huggingface/hub");
  const hubUrl = settings.endpoint ?? hub.HUB_URL;
  const send = hubFetch(repo, hubUrl, settings, options);
  const where = showRepo(repo);
  let pages = 0;
  const ask = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    if (++pages > MAX_PAGES)
      throw errors.hub(where, `${hubUrl} lists more than ${MAX_PAGES} pages`);
    const limits = { bytes: MAX_JSON_BYTES, timeout: settings.timeout };
    return withReadBody(await send(input, init), limits, where);
  };
  const shared = { hubUrl, fetch: Object.assign(ask, { preconnect: fetch.preconnect }) };
  // A response that is not the hub's (a captive portal's page) makes the library throw various
  // errors.
  const expectHubAnswer = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (cause) {
      if (cause instanceof AdaloraError || options.signal?.aborted === true) throw cause;
      if (cause instanceof DOMException && cause.name === "TimeoutError") {
        const hint = "try again later; HF_HUB_OFFLINE=1 uses only the cache";
        throw errors.hubUnreachable(where, `${hubUrl} sent no whole answer in time`, hint, cause);
      }
      const detail = cutText(cause instanceof Error ? cause.message : String(cause), 200);
      throw errors.hub(where, `${hubUrl} sent an unexpected answer: ${detail}`, undefined, cause);
    }
  };
  return {
    async commit() {
      const { name, revision, type } = repo;
      const query = { ...shared, name, revision, additionalFields: ["sha" as const] };
      const info = type === "model" ? hub.modelInfo(query) : hub.datasetInfo(query);
      const { sha } = await expectHubAnswer<{ sha: string }>(info);
      if (typeof sha === "string" && isCommit(sha)) return sha;
      throw errors.hub(where, `${hubUrl} returned no commit: ${excerpt(sha)}`);
    },
    list(commit) {
      const entries = hub.listFiles({ ...shared, repo, recursive: true, revision: commit });
      return expectHubAnswer(collectFiles(entries, where, 10 * settings.timeout));
    },
    get(commit, path, from) {
      const prefix = repo.type === "dataset" ? `datasets/${repo.name}` : repo.name;
      const encoded = path.split("/").map(encodeURIComponent).join("/");
      const headers: Record<string, string> = from > 0 ? { Range: `bytes=${from}-` } : {};
      return send(`${hubUrl}/${prefix}/resolve/${commit}/${encoded}`, { headers });
    },
  };
}
