import { existsSync } from "node:fs";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { readRegular } from "./regular-file.ts";
import { homeFolder } from "./user-cache.ts";

/** Environment variables, like `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Hub settings from the environment; the variables are those of huggingface_hub. */
export interface HubSettings {
  /** Without a trailing slash; undefined for the hub itself. */
  readonly endpoint: string | undefined;
  /** The folder that contains models--ORG--NAME and datasets--ORG--NAME. */
  readonly cache: string;
  /** Secret: sent to the endpoint, and never logged or written. */
  readonly token: string | undefined;
  readonly offline: boolean;
  /** Longest time without data, in milliseconds. */
  readonly timeout: number;
}

const DEFAULT_TIMEOUT_SECONDS = 30;

const isOn = (value: string | undefined) => /^(1|on|yes|true)$/i.test(value ?? "");

const expandHome = (path: string, env: Environment) =>
  path.startsWith("~/") ? join(homeFolder(env) ?? "~", path.slice(2)) : path;

/** huggingface_hub's folder of caches and of the token; undefined for a user without a home. */
function hubHome(env: Environment): string | undefined {
  const { HF_HOME: named, XDG_CACHE_HOME: caches } = env;
  if (named !== undefined) return expandHome(named, env);
  if (caches !== undefined) return join(caches, "huggingface");
  const home = homeFolder(env);
  return home === undefined ? undefined : join(home, ".cache/huggingface");
}

function readCache(env: Environment, home: string | undefined): string {
  const named = env["HF_HUB_CACHE"] ?? env["HUGGINGFACE_HUB_CACHE"];
  if (named !== undefined) return expandHome(named, env);
  if (home !== undefined) return join(home, "hub");
  throw errors.hub("the hub's cache", "has no folder: HOME is not set", "set HF_HOME to a folder");
}

const contentOf = (file: string | undefined) =>
  file !== undefined && existsSync(file) ? readRegular(file).toString("utf8") : "";

function readToken(env: Environment, home: string | undefined): string | undefined {
  const inHome = home === undefined ? undefined : join(home, "token");
  const file = env["HF_TOKEN_PATH"] ?? inHome;
  const fromEnvironment = env["HF_TOKEN"] ?? env["HUGGING_FACE_HUB_TOKEN"];
  const token = (fromEnvironment ?? contentOf(file && expandHome(file, env))).trim();
  if (/[^\x21-\x7e]/.test(token)) {
    const source = fromEnvironment === undefined ? (file ?? "token") : "HF_TOKEN";
    throw errors.hub(source, "is not a token: it holds spaces or control characters");
  }
  return token === "" ? undefined : token;
}

function readEndpoint(env: Environment): string | undefined {
  const text = env["HF_ENDPOINT"];
  if (text === undefined || text === "") return undefined;
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) {
    throw errors.hub("HF_ENDPOINT", `must be an http or https URL, got ${JSON.stringify(text)}`);
  }
  return text.replace(/\/+$/, "");
}

function readTimeout(env: Environment): number {
  const text = env["HF_HUB_DOWNLOAD_TIMEOUT"];
  const seconds = text === undefined || text === "" ? DEFAULT_TIMEOUT_SECONDS : Number(text);
  if (seconds > 0) return seconds * 1000;
  throw errors.hub(
    "HF_HUB_DOWNLOAD_TIMEOUT",
    `must be a number of seconds above 0, got ${JSON.stringify(text)}`,
  );
}

/** Reads HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE and related variables. */
export function hubSettings(env: Environment): HubSettings {
  const home = hubHome(env);
  return {
    endpoint: readEndpoint(env),
    cache: readCache(env, home),
    token: readToken(env, home),
    offline: isOn(env["HF_HUB_OFFLINE"]) || isOn(env["TRANSFORMERS_OFFLINE"]),
    timeout: readTimeout(env),
  };
}
