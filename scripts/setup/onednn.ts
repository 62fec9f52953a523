import { createHash } from "node:crypto";
import {
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errors } from "../../core/errors.ts";
import { fetchedDnnl } from "../../ffi/cpu/dnnl.ts";
import { NO_COMMAND, runSilently } from "./command.ts";

/** Portable build of oneDNN 3.2 for GNU OpenMP; needs glibc 2.27, libstdc++ and libgomp. */
export const WHEEL = {
  name: "onednn-cpu-gomp",
  version: "2023.2.0",
  sha256: "2f22a54d6a890ed14bfa185d42a4be65d8b5b1df85dc1f0f3a9abe31620416fb",
};
const LIBRARY = {
  bytes: 54_569_528,
  sha256: "e6376208cf6bacb041c346b504207e3aa1189a13f941c92a4383a55ac27058ae",
};
/** Files kept from the wheel's data folder: the library and its licences. */
const KEPT = [
  "lib/libdnnl.so.3",
  "share/doc/onednn/LICENSE",
  "share/doc/onednn/THIRD-PARTY-PROGRAMS",
] as const;

/** Whether set-up's copy of oneDNN is complete, with its licences. */
export const isFetched = (path = fetchedDnnl()) =>
  KEPT.every((name) => existsSync(join(dirname(path), basename(name)))) &&
  statSync(path).size === LIBRARY.bytes;

/**
 * Fetches oneDNN with pip or uv and installs it atomically. Throws E_MACHINE with what is missing,
 * or E_FILE if the download is not the expected one.
 */
export async function fetchDnnl(to = fetchedDnnl(), env = process.env): Promise<void> {
  const folder = dirname(to);
  const part = await mkdtemp(join(dirname(folder), "tmp."));
  try {
    await download(part, env);
    const data = await dataFolder(part, env);
    checkFiles(data);
    const whole = join(part, basename(folder));
    await mkdir(whole);
    for (const name of KEPT) copyFileSync(join(data, name), join(whole, basename(name)));
    if (!isFetched(to)) rmSync(folder, { recursive: true, force: true });
    moveIntoPlace(whole, folder, to);
  } finally {
    await rm(part, { recursive: true, force: true });
  }
}

function checkFiles(data: string) {
  const absent = KEPT.filter((name) => !existsSync(join(data, name)));
  if (absent.length > 0) throw errors.file(WHEEL.name, `has no ${absent.join(", ")}`);
  if (sha256(readFileSync(join(data, KEPT[0]))) !== LIBRARY.sha256)
    throw errors.file("libdnnl.so.3", "is not the library that belongs to the wheel");
}

function moveIntoPlace(whole: string, folder: string, library: string) {
  try {
    renameSync(whole, folder);
  } catch (error) {
    if (!isFetched(library)) throw error; // otherwise another set-up was faster
  }
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

async function download(folder: string, env: NodeJS.ProcessEnv) {
  const fetch = await firstFetcher(folder, env);
  if (fetch === undefined)
    throw errors.machine(
      "neither pip nor uv is available",
      "apt-get install python3-pip (or install your system's oneDNN 3), then: npm run setup",
    );
  const requirement = `${WHEEL.name}==${WHEEL.version} --hash=sha256:${WHEEL.sha256}\n`;
  writeFileSync(join(folder, "requirements.txt"), requirement);
  const failure = await run(fetch, folder, env);
  if (failure !== undefined)
    throw errors.machine(
      `${fetch[0]} could not fetch ${WHEEL.name}: ${failure}`,
      "check the network, then: npm run setup",
    );
}

async function firstFetcher(folder: string, env: NodeJS.ProcessEnv) {
  for (const { probe, fetch } of FETCHERS)
    if ((await run(probe, folder, env)) === undefined) return fetch;
  return undefined;
}

const run = (command: readonly string[], cwd: string, env: NodeJS.ProcessEnv) =>
  runSilently(command, cwd, { ...env, PIP_REQUIRE_VIRTUALENV: "0" });

/**
 * Returns the data folder of the download in `folder`: pip leaves a wheel, uv an installed tree.
 */
async function dataFolder(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const wheel = (await readdir(folder)).find((name) => name.endsWith(".whl"));
  if (wheel === undefined) return join(folder, "site");
  if (sha256(readFileSync(join(folder, wheel))) !== WHEEL.sha256)
    throw errors.file(wheel, "has a wrong sha256");
  const data = `${WHEEL.name.replaceAll("-", "_")}-${WHEEL.version}.data/data`;
  const members = KEPT.map((name) => `${data}/${name}`);
  await unpackWheel(join(folder, wheel), members, folder, env);
  return join(folder, data);
}

const EXTRACT = "import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall('.', sys.argv[2:])";

/** Unpacks members of a wheel into `to` with Python. Throws E_MACHINE with its last error. */
export async function unpackWheel(
  wheel: string,
  members: readonly string[],
  to: string,
  env: NodeJS.ProcessEnv,
): Promise<void> {
  let failure: string | undefined;
  for (const python of ["python3", "python"]) {
    failure = await run([python, "-c", EXTRACT, wheel, ...members], to, env);
    if (failure === undefined) return;
    if (failure !== NO_COMMAND) break;
  }
  throw errors.machine(
    `python3 could not unpack ${basename(wheel)}: ${failure}`,
    "apt-get install python3, then: npm run setup",
  );
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
