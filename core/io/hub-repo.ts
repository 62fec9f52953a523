import { errors } from "../errors.ts";
import { excerpt } from "../excerpt.ts";
import { isSafeRelative } from "./shard-index.ts";

/** What a repository holds. */
export type RepoType = "model" | "dataset";

/** A repository of the hub at one revision: a branch, a tag or a commit. */
export interface Repo {
  readonly type: RepoType;
  /** "org/name", or "name" for the oldest repositories. */
  readonly name: string;
  readonly revision: string;
}

const NAME = /^(?:[\w.-]{1,96}\/)?[\w.-]{1,96}$/;

/** Whether a text has the form of a repository name, with or without @revision. */
export function looksLikeRepo(text: string): boolean {
  const [name = ""] = text.split("@", 1);
  const parts = name.split("/");
  return NAME.test(name) && parts.every((part) => !/^[.-]|[.-]$|\.\.|--/.test(part));
}

/** Parses "org/name" or "org/name@revision"; the default revision is "main". */
export function parseRepo(text: string, type: RepoType): Repo {
  const [name = "", ...rest] = text.split("@");
  const revision = rest.length > 0 ? rest.join("@") : "main";
  if (!looksLikeRepo(name)) {
    throw errors.hub(
      text,
      `is neither a folder nor a ${type} on the hub (org/name)`,
      "check the spelling",
    );
  }
  if (!isSafeRelative(revision) || !/^[\w./-]+$/.test(revision)) {
    throw errors.hub(text, `"${revision}" is not a branch, tag or commit`);
  }
  return { type, name, revision };
}

/**
 * Splits "org/name/folder@revision" into the repository "org/name@revision" and the folder in it,
 * which may be "". Throws E_HUB for a folder outside the repository.
 */
export function splitFolder(text: string): { readonly repo: string; readonly folder: string } {
  const [name = "", ...rest] = text.split("@");
  const [org, repo, ...folders] = name.split("/");
  const folder = folders.join("/");
  if (folder === "" || /^[./~]/.test(text)) return { repo: text, folder: "" };
  if (!isSafeRelative(folder)) {
    throw errors.hub(text, `${excerpt(folder)} is no folder of a repository`);
  }
  return { repo: [`${org}/${repo}`, ...rest].join("@"), folder };
}

/** "org/name", followed by "@revision" unless that is main. */
export const showRepo = ({ name, revision }: Repo) =>
  revision === "main" ? name : `${name}@${revision}`;

/** Whether a revision is a full commit hash. */
export const isCommit = (text: string) => /^[0-9a-f]{40}$/.test(text);
