import { accessSync, constants, existsSync, statfsSync } from "node:fs";
import { totalmem } from "node:os";
import { dirname, join, resolve } from "node:path";
import packageJson from "../../package.json" with { type: "json" };
import { cacheFolder } from "../../core/io/cache-folder.ts";
import { errors } from "../../core/errors.ts";
import { fileError } from "../../core/io/file-errors.ts";
import { check, type Finding } from "../../core/finding.ts";
import { availableHostMemory } from "../../core/host-memory.ts";
import { hubSettings } from "../../core/io/hub-settings.ts";
import { deviceFor } from "../backend.ts";
import { byteSize } from "../byte-size.ts";
import { devices } from "../devices.ts";

/** Checks the runtime, the default device, memory and the folders to write to. */
export async function placeFindings(
  env: NodeJS.ProcessEnv = process.env,
): Promise<readonly Finding[]> {
  return [
    await check("Bun", describeBun),
    await check("device", describeDevice),
    await check(
      "memory",
      () => `${byteSize(availableHostMemory())} free of ${byteSize(totalmem())}`,
    ),
    await check("runs", () => describeFolder(resolve("runs"))),
    await check("token cache", () => describeTokenCache(env)),
    await check("hub cache", () => {
      const { cache, endpoint, token, offline } = hubSettings(env);
      const facts = [
        describeFolder(cache),
        ...(endpoint === undefined ? [] : [`endpoint ${endpoint}`]),
        token === undefined ? "no token" : "with a token",
        ...(offline ? ["offline"] : []),
      ];
      return facts.join(", ");
    }),
  ];
}

// --- internal ---

function describeDevice(): string {
  const { name } = deviceFor({ device: "auto", dtype: "auto" });
  const shown = devices.filter(({ hidden }) => hidden === undefined);
  return `${name} (--device auto), of ${shown.map((device) => device.name).join(", ")}`;
}

function describeBun(): string {
  const expected = packageJson.engines.bun;
  if (Bun.version === expected) return Bun.version;
  throw errors.machine(
    `${Bun.version}; adalora is tested with ${expected}`,
    "start it as ./adalora, which brings its own; npm run setup installs it",
  );
}

function describeTokenCache(env: NodeJS.ProcessEnv): string {
  const folder = cacheFolder(env);
  if (folder !== undefined) return describeFolder(join(folder, "tokens"));
  throw errors.machine("there is none: HOME is not set", "set HOME or XDG_CACHE_HOME to a folder");
}

/** Throws E_FILE where nothing can be written. */
function describeFolder(folder: string): string {
  const place = existingAncestor(folder);
  try {
    accessSync(place, constants.W_OK);
    const { bavail, bsize } = statfsSync(place);
    if (bavail === 0)
      throw errors.file(folder, "no space is left on the device", "free some space");
    return `${folder}, ${byteSize(bavail * bsize)} free`;
  } catch (error) {
    throw fileError(place, error);
  }
}

const existingAncestor = (path: string): string =>
  existsSync(path) ? path : existingAncestor(dirname(path));
