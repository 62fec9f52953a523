import { hostname } from "node:os";
import { homeFolder } from "./user-cache.ts";

/** What must not leave this machine. */
export interface Private {
  /** The hub's token; undefined if there is none. */
  readonly token: string | undefined;
  /** Absolute paths of folders: the user's home, the current one, and others. */
  readonly folders: readonly string[];
  readonly host: string;
}

/** A private text that was found: what it is, and the text itself unless it is a secret. */
export interface FoundPrivate {
  readonly what: string;
  readonly text: string | undefined;
}

/** What is private here: the token, the home and the current folder, further `folders`, the host. */
export function privateHere(token: string | undefined, folders: readonly string[]): Private {
  const all = [homeFolder(), process.cwd(), ...folders];
  return { token, folders: all.filter((path) => path !== undefined), host: hostname() };
}

/**
 * The first private text in a file's content. `isVocabulary`: its words are a tokenizer's, so that
 * only the token and this machine's own folders count.
 */
export function findPrivate(
  content: string,
  { token, folders, host }: Private,
  isVocabulary: boolean,
): FoundPrivate | undefined {
  const isToken = token !== undefined && token.length >= 8 && content.includes(token);
  if (isToken || TOKEN.test(content)) return { what: "an access token", text: undefined };
  const telling = folders.filter((path) => isTelling(path, isVocabulary));
  const folder = telling.find((path) => content.includes(path) && pathIn(path).test(content));
  if (folder !== undefined) return { what: "a path of this machine", text: folder };
  if (isVocabulary) return undefined;
  const [path] = HOME_PATH.exec(content) ?? [];
  if (path !== undefined) return { what: "a local path", text: path };
  if (holdsHost(content, host)) return { what: "this machine's name", text: host };
  return undefined;
}

/** Whether a value of a configuration is a path on a machine. */
export const isLocalPath = (value: string) =>
  /^(\/|~\/|\.{1,2}\/|file:|\\\\|[A-Za-z]:[\\/])/.test(value);

// --- internal ---

// Tokens of the hub: of users and of organizations.
const TOKEN = /\b(?:hf|api_org)_[A-Za-z0-9]{30,}/;

// Not within a web address, where a word or a slash precedes the first slash.
const HOME_PATH =
  /(?:(?<![\w./-])|(?<=file:\/\/))\/(?:home|Users|root|mnt|tmp|media|scratch|private|workspace)\/[^\s"'`)\],;]+|\b[A-Za-z]:\\{1,2}Users\\[^\s"']*/;

/** Whether a path says more than a word of a vocabulary, or than that there is a root. */
const isTelling = (path: string, isVocabulary: boolean) =>
  path.split("/").length > (isVocabulary ? 2 : 1) && path.length > 4;

const escaped = (text: string) => text.replaceAll(/[^\w]/g, "\\$&");

/** A path at its start, not within a web address or a longer name. */
const pathIn = (path: string) =>
  new RegExp(`(?:(?<![\\w./-])|(?<=file://))${escaped(path)}(?![\\w-])`);

/**
 * Whether the machine's name occurs as such. A name that is a plain word counts only where a host
 * can be, as models and data have such names too.
 */
function holdsHost(content: string, host: string): boolean {
  if (host === "" || host === "localhost") return false;
  const isTellingName = host.length >= 4 && /[\d.-]/.test(host);
  const before = isTellingName ? String.raw`(?<![\w.-])` : "(?:@|//)";
  return new RegExp(`${before}${escaped(host)}(?![\\w-])`).test(content);
}
