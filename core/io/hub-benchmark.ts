import { errors } from "../errors.ts";
import { readBody } from "./hub-body.ts";
import { type HubClient, openHub } from "./hub-client.ts";
import { type ClientOptions, expectHubAnswer } from "./hub-fetch.ts";
import { parseRepo, showRepo } from "./hub-repo.ts";
import { type Environment, hubSettings } from "./hub-settings.ts";
import { isJsonObject } from "./json-file.ts";

/** A benchmark of a data set on the hub: the results of its rows make a leaderboard. */
export interface Benchmark {
  /** Its name within the data set. */
  readonly id: string;
  /** The configuration and the split of its rows; undefined if it does not say. */
  readonly config: string | undefined;
  readonly split: string | undefined;
}

/** Options of `benchmarksOf`; env: `process.env` by default. */
export interface BenchmarkOptions extends ClientOptions {
  readonly env?: Environment;
}

/** The file in which a data set of the hub declares its benchmarks. */
const DECLARATION = "eval.yaml";
const MAX_BYTES = 2 ** 16;

/**
 * The benchmarks that a data set of the hub ("org/name") declares in its `eval.yaml`; none without
 * that file. Throws E_HUB if the data set or the hub can't be read, or the file is no such
 * declaration.
 */
export async function benchmarksOf(
  dataset: string,
  options: BenchmarkOptions = {},
): Promise<readonly Benchmark[]> {
  const repo = parseRepo(dataset, "dataset");
  const settings = hubSettings(options.env ?? process.env);
  const where = showRepo(repo);
  if (settings.offline) throw errors.hubUnreachable(where, "HF_HUB_OFFLINE is set", "unset it");
  const client = await openHub(repo, settings, options);
  const commit = await client.commit();
  const listed = await client.list(commit, "top"); // there may be a million others
  if (listed.every(({ path }) => path !== DECLARATION)) return [];
  const file = `${where}: ${DECLARATION}`;
  return benchmarksIn(await textOf(client, commit, file, settings.timeout, options), file);
}

// --- internal ---

async function textOf(
  client: HubClient,
  commit: string,
  file: string,
  timeout: number,
  options: ClientOptions,
): Promise<string> {
  const response = await client.get(commit, DECLARATION, 0);
  const body = readBody(response, { bytes: MAX_BYTES, timeout }, () =>
    errors.hub(file, `is larger than ${MAX_BYTES} bytes`),
  );
  const { origin: endpoint } = new URL(response.url);
  return (await expectHubAnswer(body, { where: file, endpoint, options })).toString("utf8");
}

function benchmarksIn(text: string, file: string): readonly Benchmark[] {
  const { tasks } = parsed(text, file);
  if (!Array.isArray(tasks)) throw errors.hub(file, "has no list of tasks");
  return tasks
    .filter(isJsonObject)
    .flatMap(({ id, config, split }) =>
      typeof id === "string" ? [{ id, config: textOrNone(config), split: textOrNone(split) }] : [],
    );
}

function parsed(text: string, file: string): { readonly tasks?: unknown } {
  try {
    const value: unknown = Bun.YAML.parse(text);
    return isJsonObject(value) ? value : {};
  } catch (cause) {
    throw errors.hub(file, "is not valid YAML", undefined, cause);
  }
}

const textOrNone = (value: unknown) => (typeof value === "string" ? value : undefined);
