import { writeFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { errors } from "../../core/errors.ts";
import { NO_COMMAND, runSilently } from "./command.ts";

/** A wheel on PyPI, pinned. */
export interface Wheel {
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
}

const PIP_DOWNLOAD = (
  "download --quiet --no-input --disable-pip-version-check --timeout 20 --retries 2 " +
  "--no-deps --only-binary :all: --require-hashes --dest . -r requirements.txt"
).split(" ");
const UV_INSTALL =
  "pip install --quiet --no-deps --only-binary :all: --require-hashes --target site -r requirements.txt".split(
    " ",
  );

/** Ways to fetch a wheel, in order of preference: the first whose probe succeeds is used. */
const FETCHERS = [
  {
    probe: ["python3", "-m", "pip", "--version"],
    fetch: ["python3", "-m", "pip", ...PIP_DOWNLOAD],
  },
  { probe: ["pip3", "--version"], fetch: ["pip3", ...PIP_DOWNLOAD] },
  { probe: ["pip", "--version"], fetch: ["pip", ...PIP_DOWNLOAD] },
  { probe: ["uv", "--version"], fetch: ["uv", ...UV_INSTALL] },
];

/** What to do about a failed fetch. */
export interface FetchHints {
  readonly noFetcher: string;
  readonly failed: string;
  /** Milliseconds that the download may take; undefined: no limit. */
  readonly limit?: number | undefined;
}

/**
 * Fetches wheels with pip or uv into `folder`: pip leaves wheels, uv an installed tree in `site`.
 * Throws E_MACHINE with what is missing.
 */
export async function fetchWheels(
  wheels: readonly Wheel[],
  folder: string,
  env: NodeJS.ProcessEnv,
  { noFetcher, failed, limit }: FetchHints,
): Promise<void> {
  const fetch = await firstFetcher(folder, env);
  if (fetch === undefined) throw errors.machine("neither pip nor uv is available", noFetcher);
  const lines = wheels.map(
    ({ name, version, sha256 }) => `${name}==${version} --hash=sha256:${sha256}\n`,
  );
  writeFileSync(join(folder, "requirements.txt"), lines.join(""));
  const failure = await runSilently(fetch, folder, withoutVenvRule(env), limit);
  if (failure === undefined) return;
  const names = wheels.map(({ name }) => name).join(" and ");
  throw errors.machine(`${fetch[0]} could not fetch ${names}: ${failure}`, failed);
}

async function firstFetcher(folder: string, env: NodeJS.ProcessEnv) {
  for (const { probe, fetch } of FETCHERS)
    if ((await runSilently(probe, folder, withoutVenvRule(env))) === undefined) return fetch;
  return undefined;
}

const withoutVenvRule = (env: NodeJS.ProcessEnv) => ({ ...env, PIP_REQUIRE_VIRTUALENV: "0" });

/** The wheels in a folder, as pip leaves them. */
export const wheelsIn = async (folder: string) =>
  (await readdir(folder)).filter((name) => name.endsWith(".whl")).map((name) => join(folder, name));

const EXTRACT = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall('.', sys.argv[2:])";

/** How a wheel is unpacked. */
export interface UnpackOptions {
  /** The command that fetches it again. */
  readonly command: string;
  /** Milliseconds that unpacking may take; undefined: no limit. */
  readonly limit?: number | undefined;
}

/**
 * Unpacks members of a wheel into `to` with Python, as a stream. Throws E_MACHINE with its last
 * error.
 */
export async function unpackWheel(
  wheel: string,
  members: readonly string[],
  to: string,
  env: NodeJS.ProcessEnv,
  { command: again, limit }: UnpackOptions,
): Promise<void> {
  let failure: string | undefined;
  for (const python of ["python3", "python"]) {
    const command = [python, "-c", EXTRACT, wheel, ...members];
    failure = await runSilently(command, to, withoutVenvRule(env), limit);
    if (failure === undefined) return;
    if (failure !== NO_COMMAND) break;
  }
  throw errors.machine(
    `python3 could not unpack ${basename(wheel)}: ${failure}`,
    `apt-get install python3, then: ${again}`,
  );
}
