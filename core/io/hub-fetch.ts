import { AdaloraError, errors } from "../errors.ts";
import { cutText, excerpt } from "../excerpt.ts";
import { errorCode } from "./file-errors.ts";
import type { HubSettings } from "./hub-settings.ts";

/** Options of a hub client. */
export interface ClientOptions {
  readonly signal?: AbortSignal | undefined;
  /** Delay before the second attempt, in milliseconds; doubles with each further attempt. */
  readonly retryDelay?: number | undefined;
}

/** What requests to one endpoint have in common. */
export interface HubRequests {
  /** The repository, for messages. */
  readonly where: string;
  /** The hub's address, without a trailing slash. */
  readonly endpoint: string;
  readonly settings: HubSettings;
  readonly options: ClientOptions;
  /** The error for an unsuccessful response. */
  statusError(response: Response): AdaloraError;
  /** What to do when the endpoint cannot be reached. */
  readonly unreachableHint: string;
}

/** What an answer of the hub's library is for, and what to do if it comes too late. */
interface AnswerOptions extends Pick<HubRequests, "where" | "endpoint" | "options"> {
  readonly timeoutHint?: string;
}

/** A fetch whose failures are all AdaloraErrors. */
export type HubFetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>;

const MAX_ATTEMPTS = 4;
const RETRY_DELAY = 500;
const MAX_RETRY_DELAY = 30_000;
const MAX_REDIRECTS = 8;
// The slowest connection that an upload is not given up on, in bytes per millisecond.
const SLOWEST_UPLOAD = 20;
const RETRYABLE_STATUS = new Set([408, 429, 500, 502, 503, 504]);
const RETRYABLE_CODES = new Set(["ECONNRESET", "EPIPE", "ETIMEDOUT", "ConnectionClosed"]);

/**
 * A fetch for one endpoint. Sends the token to the endpoint only, never to a redirect's or another
 * host; retries transient failures, and turns every failure into an AdaloraError about the
 * repository.
 */
export function hubFetch(requests: HubRequests): HubFetch {
  const { where, endpoint, settings, options } = requests;
  const { signal, retryDelay = RETRY_DELAY } = options;
  const origin = new URL(endpoint).origin;

  const follow = async (start: URL, init: RequestInit): Promise<Response> => {
    let url = start;
    // A commit of many files takes the hub longer than reading does.
    const patience = init.method === "POST" ? 4 * settings.timeout : settings.timeout;
    const timeout = patience + bodyBytes(init.body) / SLOWEST_UPLOAD;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const headers = new Headers(init.headers);
      headers.set("User-Agent", "adalora");
      headers.set("Accept-Encoding", "identity");
      headers.delete("Authorization");
      if (settings.token !== undefined && url.origin === origin) {
        headers.set("Authorization", `Bearer ${settings.token}`);
      }
      const response = await fetchHeaders(url, { ...init, headers }, timeout, signal);
      const location = response.headers.get("Location");
      if (response.status < 300 || response.status >= 400 || location === null) return response;
      await response.body?.cancel();
      url = redirected(location, url, where);
    }
    throw errors.hub(where, `${endpoint} redirects more than ${MAX_REDIRECTS} times`);
  };

  return async (input, init = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    for (let attempt = 1; ; attempt++) {
      const delay = retryDelay * 2 ** (attempt - 1);
      try {
        const response = await follow(url, init);
        if (response.ok) return response;
        await response.body?.cancel();
        const error = requests.statusError(response);
        if (!RETRYABLE_STATUS.has(response.status) || attempt === MAX_ATTEMPTS) throw error;
        await sleep(retryDelayFrom(response, delay), signal);
      } catch (error) {
        if (error instanceof AdaloraError || signal?.aborted === true) throw error;
        if (!RETRYABLE_CODES.has(errorCode(error) ?? "") || attempt === MAX_ATTEMPTS) {
          const rule = `cannot reach ${url.origin}: ${describeFailure(error)}`;
          throw errors.hubUnreachable(where, rule, requests.unreachableHint, error);
        }
        await sleep(delay, signal);
      }
    }
  };
}

/**
 * Waits for an answer of the hub's library. A response that is not the hub's (a captive portal's
 * page) makes the library throw various errors, which become an AdaloraError.
 */
export async function expectHubAnswer<T>(
  answer: Promise<T>,
  { where, endpoint, options, timeoutHint = READ_LATER }: AnswerOptions,
): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    if (cause instanceof AdaloraError || options.signal?.aborted === true) throw cause;
    if (isTimeout(cause)) {
      const rule = `${endpoint} sent no whole answer in time`;
      throw errors.hubUnreachable(where, rule, timeoutHint, cause);
    }
    const detail = cutText(cause instanceof Error ? cause.message : String(cause), 200);
    throw errors.hub(where, `${endpoint} sent an unexpected answer: ${detail}`, undefined, cause);
  }
}

// --- internal ---

const READ_LATER = "try again later; HF_HUB_OFFLINE=1 uses only the cache";

const isTimeout = (error: unknown) =>
  error instanceof DOMException && error.name === "TimeoutError";

function describeFailure(error: unknown): string {
  if (isTimeout(error)) return "no answer in time";
  const code = errorCode(error);
  if (code === "ECONNREFUSED") return "connection refused";
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "the host name cannot be resolved";
  if (code === "ECONNRESET") return "connection closed";
  return code ?? (error instanceof Error ? error.message : String(error));
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
  const signals = [timer.signal, signal, init.signal].filter((one) => one instanceof AbortSignal);
  try {
    return await fetch(url, { ...init, redirect: "manual", signal: AbortSignal.any(signals) });
  } finally {
    clearTimeout(handle);
  }
}

/** The size of a request's body in bytes, as far as it is known before it is sent. */
function bodyBytes(body: RequestInit["body"]): number {
  if (body instanceof Blob) return body.size;
  return typeof body === "string" ? body.length : 0;
}

function retryDelayFrom(response: Response, delay: number): number {
  const seconds = Number(response.headers.get("Retry-After") ?? Number.NaN);
  return Math.min(seconds >= 0 ? seconds * 1000 : delay, MAX_RETRY_DELAY);
}

/** Where a redirect leads: only to a web address, as Bun's fetch would read local files too. */
function redirected(location: string, from: URL, where: string): URL {
  const url = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  if (url?.protocol === "https:" || url?.protocol === "http:") return url;
  throw errors.hub(where, `${from.origin} redirects to ${excerpt(location)}`);
}
