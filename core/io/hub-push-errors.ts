import { AdaloraError, errors } from "../errors.ts";
import { cutText } from "../excerpt.ts";

/** The status that an error reports; undefined for another error. */
export function statusIn(error: unknown): number | undefined {
  const cause = error instanceof AdaloraError ? error.cause : undefined;
  return cause instanceof HubStatus ? cause.status : undefined;
}

/** What to do after a failure that leaves the repository as it was. */
export const PUSH_AGAIN = "push again: files that were uploaded completely are not sent again";

/**
 * The error for an unsuccessful response to a push, with what to do. `token` is removed from what the
 * hub says.
 */
export function pushError(
  { status, headers, url }: Response,
  where: string,
  endpoint: string,
  token: string | undefined,
): AdaloraError {
  const cause = new HubStatus(status);
  const isElsewhere = URL.canParse(url) && new URL(url).origin !== new URL(endpoint).origin;
  const server = isElsewhere ? "the storage of large files" : endpoint;
  if (isElsewhere && status < 500 && status !== 429) {
    return errors.hub(where, `${server} answered with status ${status}`, PUSH_AGAIN, cause);
  }
  switch (status) {
    case 401:
      return errors.hub(
        where,
        `${endpoint} does not accept the token`,
        `set HF_TOKEN to a token with write access: ${endpoint}/settings/tokens`,
        cause,
      );
    case 403:
      return errors.hub(
        where,
        "the token may not write there",
        "use a token with write access, and a name under your own account or an organization that you may write to",
        cause,
      );
    case 404:
      return errors.hub(
        where,
        "no such repository, account or organization, or the token may not see it",
        "check the spelling of org/name; push makes the repository, not the organization",
        cause,
      );
    case 409:
    case 412:
      return changedMeanwhile(where, cause);
    case 429:
      return errors.hubUnreachable(
        where,
        `${server} takes no more requests for now (status 429)`,
        `${waitFor(headers)}, then ${PUSH_AGAIN}`,
        cause,
      );
    case 503:
      return errors.hubUnreachable(
        where,
        `${server} is not available at the moment (status 503)`,
        `${waitFor(headers)}, then ${PUSH_AGAIN}`,
        cause,
      );
    default: {
      const message = headers.get("X-Error-Message") ?? "";
      const shown = token === undefined ? message : message.replaceAll(token, "…");
      const rule = `${server} answered with status ${status}`;
      const text = shown === "" ? rule : `${rule}: ${cutText(shown, 200)}`;
      return errors.hub(where, text, PUSH_AGAIN, cause);
    }
  }
}

/** The error for a repository that another push has changed during this one. */
export function changedMeanwhile(where: string, cause?: unknown): AdaloraError {
  return errors.hub(
    where,
    "has changed during the push: another one came first, and nothing of this one is visible",
    "look at what the repository holds now; pushing again replaces it",
    cause,
  );
}

// --- internal ---

/** The status of an unsuccessful response: the cause of the error that reports it. */
class HubStatus extends Error {
  override readonly name = "HubStatus";
  readonly status: number;
  constructor(status: number) {
    super(`status ${status}`);
    this.status = status;
  }
}

/** How long to wait, as far as the hub says. */
function waitFor(headers: Headers): string {
  const seconds = Number(headers.get("Retry-After") ?? Number.NaN);
  return seconds > 0 ? `wait ${Math.ceil(seconds)} s` : "wait some minutes";
}
