import { existsSync } from "node:fs";
import { formatOf } from "../core/data/open-table.ts";
import { AdaloraError, errors } from "../core/errors.ts";
import type { Environment } from "../core/io/hub-settings.ts";
import type { Resolved } from "../core/io/hub.ts";
import { isFolder } from "../core/io/regular-file.ts";
import type { Families } from "../core/model/families.ts";
import type { Sources } from "../core/model/model-files.ts";
import { byteSize } from "./byte-size.ts";
import { cliErrors } from "./cli-errors.ts";
import type { Report } from "./report.ts";
import type { DataLocation, HubData } from "../core/data/data-location.ts";

/** Name of the demo's model and data, which are part of the program. */
export const DEMO = "adalora:demo";

/**
 * Opens the sources of models and data: a path that exists, else the hub. Plugins are loaded once,
 * and reported where they replace a family of the program.
 */
export function openSources(report: Report, env: Environment = process.env): Sources {
  const options = { env, onProgress: downloadProgress(report) };
  const folderOf = ({ dir, warning }: Resolved) => {
    if (warning !== undefined) report.warn(warning);
    return dir;
  };
  const hub = () => import("../core/io/hub.ts");
  const opened = new Map<string, Promise<Families>>();
  const notes = new Set<string>();
  const note = (text: string) => {
    if (!notes.has(text)) report.info(text);
    notes.add(text);
  };
  return {
    families(plugins, savedIn) {
      const key = JSON.stringify([plugins, savedIn]);
      const families = opened.get(key) ?? openFamiliesOf(plugins ?? [], savedIn, note);
      opened.set(key, families);
      return families;
    },

    async model(name) {
      if (name === DEMO) return (await import("../demo/place.ts")).demoModel();
      if (isFolder(name)) return name;
      return resolveOnHub(name, async () =>
        folderOf(await (await hub()).resolveModel(name, options)),
      );
    },

    async adapter(name) {
      if (isFolder(name)) return name;
      return resolveOnHub(name, async () =>
        folderOf(await (await hub()).resolveAdapter(name, options)),
      );
    },

    async data(name, own) {
      if (name === null && own === undefined) throw noData();
      if (name === DEMO) return { path: (await import("../demo/place.ts")).demoData() };
      if (name !== null && existsSync(name)) return { path: name };
      const [spec, config] = datasetOf(name, own);
      const download = async (): Promise<DataLocation> => {
        const resolved = await (await hub()).resolveDataset(spec, config, options);
        return { path: folderOf(resolved), splits: resolved.splits };
      };
      return name === null ? download() : resolveOnHub(spec, download);
    },
  };
}

/** Smaller downloads are not shown. */
const SHOWN_FROM_BYTES = 2 ** 20;

/** Shows the download of a large file: a live line on a terminal, elsewhere a line at its start. */
export function downloadProgress(report: Report) {
  let lastFile = "";
  return ({ file, received, total }: { file: string; received: number; total: number }) => {
    if (total < SHOWN_FROM_BYTES) return;
    if (lastFile !== file && !report.isLive) report.info(`downloading ${file}, ${byteSize(total)}`);
    lastFile = file;
    report.live(`downloading ${file}  ${byteSize(received)} of ${byteSize(total)}`);
  };
}

// --- internal ---

async function openFamiliesOf(
  plugins: readonly string[],
  savedIn: string | undefined,
  note: (text: string) => void,
): Promise<Families> {
  const builtIn = await import("../plugins/index.ts");
  if (plugins.length === 0) return builtIn.builtInFamilies;
  const { openFamilies, replacements } = await import("./plugins/open-families.ts");
  const families = await openFamilies(plugins, builtIn.plugins, { savedIn });
  replacements(families).forEach(note);
  return families;
}

function noData(): AdaloraError {
  return errors.missing(
    "data",
    "--data PATH names a folder with train and dev files, or a data set on the hub",
  );
}

/** Splits "org/name:configuration"; the task's own data set has a default configuration. */
function datasetOf(name: string | null, own: HubData | undefined) {
  const [spec = "", config] = (name ?? own?.id ?? "").split(":");
  return [spec, config ?? (spec.split("@")[0] === own?.id ? own?.config : undefined)] as const;
}

/** Resolves a name that is no local path on the hub; an error mentions both. */
async function resolveOnHub<T>(name: string, download: () => Promise<T>): Promise<T> {
  if (formatOf(name) !== undefined) throw errors.file(name, "does not exist");
  try {
    return await download();
  } catch (error) {
    if (error instanceof AdaloraError && error.code.startsWith("E_HUB")) {
      throw cliErrors.neitherLocalNorHub(name, error);
    }
    throw error;
  }
}
