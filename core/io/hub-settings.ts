import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { errors } from "../errors.ts";
import { readRegular } from "./regular-file.ts";

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
const expandHome = (path: string) =>
  path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;

function readToken(env: Environment, home: string): string | undefined {
  const file = expandHome(env["HF_TOKEN_PATH"] ?? join(home, "token"));
  const fromEnvironment = env["HF_TOKEN"] ?? env["HUGGING_FACE_HUB_TOKEN"];
  const token = (
    fromEnvironment ?? (existsSync(file) ? readRegular(file).toString("utf8") : "")
  ).trim();
  if (/[^\x21-\x7e]/.test(token)) {
    const source = fromEnvironment === undefined ? file : "HF_TOKEN";
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
  const cacheHome = env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const home = expandHome(env["HF_HOME"] ?? join(cacheHome, "huggingface"));
  const cache = env["HF_HUB_CACHE"] ?? env["HUGGINGFACE_HUB_CACHE"] ?? join(home, "hub");
  return {
    endpoint: readEndpoint(env),
    cache: expandHome(cache),
    token: readToken(env, home),
    offline: isOn(env["HF_HUB_OFFLINE"]) || isOn(env["TRANSFORMERS_OFFLINE"]),
    timeout: readTimeout(env),
  };
}
