import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Decompose } from "../../jacobi-svd.ts";
import type { Backend } from "../../backend.ts";
import { errors } from "../../errors.ts";
import { writeDirectoryAtomic } from "../../io/atomic.ts";
import { looksLikeRepo } from "../../io/hub-repo.ts";
import { openCheckpoint } from "../../io/checkpoint-files.ts";
import type { PeftAdapter } from "../../io/peft-adapter.ts";
import { ADAPTER_FACTS, readPeftAdapter, writePeftFiles } from "../../io/peft.ts";
import { writeTorchStateDict } from "../../io/torch-writer.ts";
import { openTorchCheckpoint } from "../../io/torch-pickle.ts";
import { CARD, cardText } from "../../model/adapter-card.ts";
import { asLora, asUniformLora } from "../../model/export/as-lora.ts";
import { canonical } from "../../model/export/canonical.ts";
import { loralibState } from "../../model/export/loralib.ts";
import { mergeWeights, type ReleasePages, type Rounding } from "../../model/export/merge.ts";
import {
  compareIncrements,
  compareMerged,
  type Difference,
  difference,
} from "../../model/export/module-probe.ts";
import { savedTokenizerNames } from "../../text/save-tokenizer.ts";
import { runErrors } from "../run-errors.ts";
import { writeJson } from "../run-files.ts";
import { runFiles } from "../run-folder.ts";
import { writeMergedFiles } from "./merged-folder.ts";
import { fromState, weightPairs } from "./read-back.ts";
import { convertedBytes, probeLogits } from "./probe-logits.ts";
import type { BaseModel, ExportSource } from "./source.ts";

/** A format that an adapter is exported to. */
export type ExportFormat = "peft" | "lora" | "merged" | "loralib";

/** How an adapter is exported. */
export interface ExportOptions {
  readonly to: ExportFormat;
  /** LoRA of one rank, with alpha equal to it. */
  readonly uniform: boolean;
  /** Increments as their singular value decompositions. */
  readonly canonical: boolean;
  readonly out: string;
  readonly release: ReleasePages;
  /** Decomposes small matrices, for `canonical`; undefined: on the CPU. */
  readonly decompose?: Decompose | undefined;
}

/** What an export has written, and how far it is from the adapter. */
export interface Exported {
  /** Modules of the result, and of the adapter. */
  readonly modules: number;
  readonly of: number;
  readonly rank: { readonly least: number; readonly most: number };
  /** Largest differences on probe inputs; logits are null where no model was run. */
  readonly difference: { readonly modules: number; readonly logits: number | null };
  /** Of merged weights. */
  readonly rounding: Rounding | undefined;
}

/**
 * Converts an adapter and writes it to a folder, which appears complete or not at all. The result
 * is read back, and both sides are run on probe inputs: each increment, and the whole model if its
 * base is known. Throws E_EXPORT, and writes nothing, if they differ.
 */
export function exportAdapter(
  backend: Backend,
  source: ExportSource,
  options: ExportOptions,
): Exported {
  const named = withoutPath(source.adapter);
  const prepared = options.canonical ? canonical(named, options.decompose) : named;
  let result: Exported | undefined;
  writeDirectoryAtomic(options.out, (scratch) => {
    result =
      options.to === "merged"
        ? writeMerged(backend, source, scratch, options)
        : writeConverted(backend, source, converted(prepared, options), scratch, options);
  });
  if (result === undefined) throw new Error("internal: the export wrote no folder");
  return result;
}

// --- internal ---

/** Largest difference of outputs in f32, relative to the largest output if that is above 1. */
const LIMIT = 1e-5;
/** The whole model is not run if copies of its weights in f32 take more bytes than this. */
const MAX_CONVERTED = 100 * 2 ** 20;

/** The name of the state dict that `loralib` reads. */
const LORALIB_FILE = "loralib.pt";

/** PEFT names a local base by its path, which means nothing elsewhere and may name a user. */
function withoutPath(adapter: PeftAdapter): PeftAdapter {
  const { baseModel } = adapter;
  const isPath = baseModel?.includes("/") === true && !looksLikeRepo(baseModel);
  return isPath ? { ...adapter, baseModel: null, revision: null } : adapter;
}

function converted(adapter: PeftAdapter, { to, uniform }: ExportOptions): PeftAdapter {
  if (to !== "lora") return adapter;
  return uniform ? asUniformLora(adapter) : asLora(adapter);
}

function writeConverted(
  backend: Backend,
  source: ExportSource,
  adapter: PeftAdapter,
  scratch: string,
  { to, release }: ExportOptions,
): Exported {
  const { adapter: original, base } = source;
  // Before anything is written: a value that f32 cannot hold would make a file that no one reads.
  check("the modules' outputs", compareIncrements(original, adapter));
  if (to === "loralib") {
    const path = join(scratch, LORALIB_FILE);
    writeTorchStateDict(path, loralibState(adapter));
    writeJson(join(scratch, runFiles.ranks), ranksOf(adapter));
    const modules = compareIncrements(original, fromState(openTorchCheckpoint(path), adapter));
    return exported(source, adapter, { modules, logits: undefined });
  }
  writePeftFiles(scratch, adapter, folderFiles(source, adapter), scratch);
  const written = readPeftAdapter(scratch);
  const modules = compareIncrements(original, written);
  const logits =
    base && runsModel(base)
      ? difference(
          probeLogits(backend, base, base.dir, original, release),
          probeLogits(backend, base, base.dir, written, release),
        )
      : undefined;
  return exported(source, written, { modules, logits });
}

function writeMerged(
  backend: Backend,
  source: ExportSource,
  scratch: string,
  { release }: ExportOptions,
): Exported {
  const { adapter, base, dir } = source;
  if (!base) throw errors.missing("model", `give the base model of ${dir} with --model`);
  const declared = base.declare();
  const rounding = mergeWeights(base.dir, declared, adapter, scratch, release);
  writeMergedFiles(scratch, source, base);
  const modules = compareMerged(adapter, weightPairs(base, adapter, scratch), ({ bytes }) =>
    release(bytes),
  );
  const logits = runsModel(base)
    ? difference(
        probeLogits(backend, base, base.dir, adapter, release),
        probeLogits(backend, base, scratch, undefined, release),
      )
    : undefined;
  const isExact = mainDtype(base) === "F32" || mainDtype(base) === "F64";
  return exported(source, adapter, { modules, logits }, rounding, isExact);
}

/** The result, once both sides agree; `isExact`: the weights are stored in f32 or wider. */
function exported(
  { adapter: original }: ExportSource,
  adapter: PeftAdapter,
  found: { readonly modules: Difference; readonly logits: Difference | undefined },
  rounding?: Rounding,
  isExact = true,
): Exported {
  if (isExact) {
    check("the modules' outputs", found.modules);
    if (found.logits) check("the logits", found.logits);
  }
  const ranks = adapter.modules.map(({ A }) => A.shape[0] ?? 0);
  return {
    modules: adapter.modules.length,
    of: original.modules.length,
    rank: { least: Math.min(...ranks), most: Math.max(...ranks) },
    difference: { modules: found.modules.largest, logits: found.logits?.largest ?? null },
    rounding,
  };
}

function check(what: string, { largest, scale }: Difference): void {
  const limit = LIMIT * Math.max(1, scale);
  if (!(largest <= limit)) throw runErrors.conversion(what, largest, limit);
}

/** Facts and tokenizer as they are in the adapter's folder, and a card of the converted adapter. */
function folderFiles({ dir, facts }: ExportSource, adapter: PeftAdapter) {
  const carried = [ADAPTER_FACTS, ...savedTokenizerNames].filter((name) =>
    existsSync(join(dir, name)),
  );
  return new Map<string, string | Uint8Array>([
    ...carried.map((name) => [name, readFileSync(join(dir, name))] as const),
    [CARD, cardText({ adapter, facts })],
  ]);
}

const ranksOf = ({ modules }: PeftAdapter) =>
  Object.fromEntries(modules.map(({ path, A }) => [`${path}.lora_E`, A.shape[0] ?? 0]));

/** Whether the whole model is run: not where its weights would be copied in f32. */
const runsModel = ({ dir }: BaseModel) => convertedBytes(dir) <= MAX_CONVERTED;

function mainDtype({ dir }: BaseModel): string {
  const tensors = [...openCheckpoint(dir).tensors.values()];
  const [largest] = tensors.toSorted((a, b) => b.bytes.length - a.bytes.length);
  return largest?.dtype ?? "F32";
}
