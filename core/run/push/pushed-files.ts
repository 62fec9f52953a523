import { existsSync, readdirSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { errors } from "../../errors.ts";
import { currentDirectory } from "../../io/atomic.ts";
import { openCheckpoint, WEIGHT_FILES } from "../../io/checkpoint-files.ts";
import type { FileToPush } from "../../io/hub-writer.ts";
import { isFolder } from "../../io/regular-file.ts";
import {
  ADAPTER_FACTS,
  ADAPTER_CONFIG,
  ADAPTER_WEIGHTS,
  OLD_ADAPTER_WEIGHTS,
  readPeftAdapter,
} from "../../io/peft.ts";
import { CARD, cardText } from "../../model/adapter-card.ts";
import { readFacts } from "../../model/adapter-facts.ts";
import { runErrors } from "../run-errors.ts";
import { runFiles, seedFolders } from "../run-folder.ts";
import type { Which } from "../run-of.ts";
import { readSavedConfig } from "../saved-config.ts";
import { runRecords } from "./run-records.ts";
import { withoutPaths } from "./without-paths.ts";

/** What a folder holds for the hub. */
export interface FilesToPush {
  readonly kind: "adapter" | "model";
  /** The base model on the hub that an adapter names; undefined for a model. */
  readonly baseModel: string | null | undefined;
  /** The run that is pushed; undefined for an adapter or a model alone. */
  readonly run: string | undefined;
  /** The folder of the weights. */
  readonly dir: string;
  readonly files: readonly FileToPush[];
}

/**
 * The files of a run (`which` of its weights, with its log, results, ranks and settings in `run/`),
 * of an adapter or of a full model as they go to the hub: paths of this machine are left out of
 * their configurations, and an adapter without a card gets one. Throws E_FILE for another folder,
 * and for damaged weights.
 */
export function filesToPush(source: string, which: Which): FilesToPush {
  if (!isFolder(source)) throw errors.file(source, "is no folder", "name a run, adapter or model");
  const isRun = readSavedConfig(source) !== undefined;
  if (!isRun && which === "best") throw runErrors.noChoice(source, runAbove(source));
  const dir = isRun ? weightsIn(source, which) : source;
  const run = isRun ? source : undefined;
  const records = isRun ? runRecords(source, which) : [];
  if (holds(dir, ADAPTER_CONFIG)) {
    const adapter = readPeftAdapter(dir);
    const files = new Map(namesOf(dir, ADAPTER_FILES).map((name) => [name, fileIn(dir, name)]));
    if (!files.has(CARD)) {
      const card = cardText({ adapter, facts: readFacts(dir) });
      files.set(CARD, { path: CARD, content: new Blob([card]) });
    }
    const { baseModel } = adapter;
    return { kind: "adapter", baseModel, run, dir, files: sorted([...files.values(), ...records]) };
  }
  if (!holds(dir, runFiles.config)) throw noWeights(source);
  const weights = openCheckpoint(dir).files.map((path) => basename(path));
  const [indexOrWeights = ""] = WEIGHT_FILES.filter((name) => holds(dir, name));
  const names = new Set([...namesOf(dir, MODEL_FILES), indexOrWeights, ...weights]);
  const files = [...names].map((name) => fileIn(dir, name));
  return { kind: "model", baseModel: undefined, run, dir, files: sorted([...files, ...records]) };
}

/**
 * Whether a push deletes a repository's file that it does not replace: weights of an earlier push,
 * and what says how to read them, would be loaded instead of the new ones.
 */
export function isStaleFile(path: string): boolean {
  return /^(adapter_(config\.json|model\.(safetensors|bin))|(model|pytorch_model)(-\d+-of-\d+)?\.(safetensors|bin)(\.index\.json)?|adalora\.json|run\/(log\.jsonl|metrics\.json|rank_pattern\.json|config\.json|report\.html)|\.eval_results\/adalora\.yaml)$/.test(
    path,
  );
}

// --- internal ---

const TOKENIZER =
  /^(tokenizer.*\.json|special_tokens_map\.json|added_tokens\.json|vocab\.(json|txt)|merges\.txt|[\w.-]+\.model)$/;

const isOneOf = (names: readonly string[]) => (name: string) => names.includes(name);
const ADAPTER_FILES = isOneOf([ADAPTER_CONFIG, ADAPTER_FACTS, CARD]);
const MODEL_FILES = isOneOf([
  "config.json",
  "generation_config.json",
  "chat_template.jinja",
  ADAPTER_FACTS,
  CARD,
]);

const holds = (dir: string, name: string) => existsSync(join(currentDirectory(dir), name));

/**
 * The names of a folder's files that are pushed: chosen ones, the tokenizer's, an adapter's
 * weights.
 */
function namesOf(dir: string, isChosen: (name: string) => boolean): readonly string[] {
  const all = readdirSync(currentDirectory(dir));
  const weights = [ADAPTER_WEIGHTS, OLD_ADAPTER_WEIGHTS].find((name) => all.includes(name));
  return all.filter((name) => {
    return isChosen(name) || TOKENIZER.test(name) || (name === weights && isChosen(ADAPTER_CONFIG));
  });
}

/** A file as it is pushed; weights are read as they are sent. */
function fileIn(dir: string, name: string): FileToPush {
  const path = join(currentDirectory(dir), name);
  const edited = withoutPaths(path);
  return { path: name, content: edited === undefined ? Bun.file(path) : new Blob([edited]) };
}

const sorted = (files: readonly FileToPush[]) =>
  files.toSorted((a, b) => (a.path < b.path ? -1 : 1));

/** The folder of a run's weights. Throws E_FILE if it has none of that choice. */
function weightsIn(run: string, which: Which): string {
  const { adapter, model, bestAdapter, bestModel } = runFiles;
  const folders = { last: [adapter, model], best: [bestAdapter, bestModel] };
  const find = (one: Which) =>
    folders[one].map((name) => join(run, name)).find((dir) => existsSync(currentDirectory(dir)));
  const found = find(which);
  if (found !== undefined) return found;
  const other = which === "last" ? "best" : "last";
  if (find(other) !== undefined) throw runErrors.otherWeightsOnly(run, which, other);
  throw errors.file(run, "holds no trained weights: the run has not ended", "finish it first");
}

function noWeights(source: string) {
  const [seed] = seedFolders(source);
  const hint = "give the folder of a run, an adapter or a full model";
  return seed === undefined
    ? errors.file(source, `holds neither ${ADAPTER_CONFIG} nor config.json`, hint)
    : errors.file(source, "holds runs with several seeds", `give one of them, such as ${seed}`);
}

/** The run that a folder of weights lies in. */
function runAbove(dir: string): string | undefined {
  const above = dirname(resolve(dir));
  return readSavedConfig(above) && above;
}
