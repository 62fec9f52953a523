import { createHash } from "node:crypto";
import { copyFileSync, existsSync, readFileSync, statSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { errors } from "../../core/errors.ts";
import { fetchedDnnl } from "../../ffi/cpu/dnnl.ts";
import { moveIntoPlace } from "./move-into-place.ts";
import { inScratchFolder } from "./scratch-folder.ts";
import { fetchWheels, unpackWheel, wheelsIn } from "./wheels.ts";

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

/** What fetches it again. */
const COMMAND = "npm run setup";

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
  await inScratchFolder(dirname(folder), async (part) => {
    await download(part, env);
    const data = await dataFolder(part, env);
    checkFiles(data);
    const whole = join(part, basename(folder));
    await mkdir(whole);
    for (const name of KEPT) copyFileSync(join(data, name), join(whole, basename(name)));
    moveIntoPlace(whole, folder, () => isFetched(to));
  });
}

function checkFiles(data: string) {
  const absent = KEPT.filter((name) => !existsSync(join(data, name)));
  if (absent.length > 0) throw errors.file(WHEEL.name, `has no ${absent.join(", ")}`);
  if (sha256(readFileSync(join(data, KEPT[0]))) !== LIBRARY.sha256)
    throw errors.file("libdnnl.so.3", "is not the library that belongs to the wheel");
}

const download = (folder: string, env: NodeJS.ProcessEnv) =>
  fetchWheels([WHEEL], folder, env, {
    noFetcher: `apt-get install python3-pip (or install your system's oneDNN 3), then: ${COMMAND}`,
    failed: `check the network, then: ${COMMAND}`,
  });

/**
 * Returns the data folder of the download in `folder`: pip leaves a wheel, uv an installed tree.
 */
async function dataFolder(folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const [wheel] = await wheelsIn(folder);
  if (wheel === undefined) return join(folder, "site");
  if (sha256(readFileSync(wheel)) !== WHEEL.sha256)
    throw errors.file(basename(wheel), "has a wrong sha256");
  const data = `${WHEEL.name.replaceAll("-", "_")}-${WHEEL.version}.data/data`;
  const members = KEPT.map((name) => `${data}/${name}`);
  await unpackWheel(wheel, members, folder, env, { command: COMMAND });
  return join(folder, data);
}

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
