import { errors } from "../core/errors.ts";
import type { Method } from "../core/train/method.ts";
import { choice, integer, text, toggle } from "../core/train/setting.ts";
import type { Given } from "./args.ts";

/** Flags of the authors' scripts that together say what is here `--method`. */
const methodFlags = {
  applyAdalora: toggle(false, "train with AdaLoRA", { also: ["apply-rankselector"] }),
  applyLora: toggle(false, "train LoRA matrices"),
  applyBitfit: toggle(false, "train biases"),
  loraType: choice(["svd", "frd"], "frd", "LoRA's form: SVD triplets or pairs"),
};

/** Flags of the authors' scripts that ask for what is always so here; `about` says why they change nothing. */
const settledFlags = {
  doTrain: toggle(true, "run trains"),
  doEval: toggle(true, "run evaluates"),
  evaluationStrategy: choice(["steps"], "steps", "--eval-steps decides"),
  saveStrategy: choice(["steps"], "steps", "--save-steps decides"),
  loggingStrategy: choice(["steps"], "steps", "--log-steps decides"),
  reportTo: choice(["tensorboard"], "tensorboard", "TensorBoard files are always written"),
  tbWritterLoginterval: integer(500, "--log-steps decides", { min: 1 }),
  loggingDir: text(null, "logs are in the run's folder"),
  padToMaxLength: toggle(true, "padding is never computed"),
  useFastTokenizer: toggle(true, "there is one tokenizer"),
  useDeterministicAlgorithms: toggle(true, "runs repeat exactly"),
  overwriteCache: toggle(false, "the cache is keyed by content"),
};

/** The flags that only the authors' scripts have, as settings. */
export const referenceFlags = { ...methodFlags, ...settledFlags };

type FlagMap = ReadonlyMap<string, Given>;

/** The method that the script's flags name, and a flag to blame for it; undefined without any of them. */
export function referenceMethod(given: FlagMap): { method: Method; flag: string } | undefined {
  const blamed = Object.keys(methodFlags).map((key) => given.get(key)?.flag);
  const flag = blamed.find((one) => one !== undefined);
  if (flag === undefined) return undefined;
  const on = (key: keyof typeof methodFlags) => given.get(key)?.value === true;
  const svd = given.get("loraType")?.value === "svd";
  if (on("applyBitfit")) return { method: "bitfit", flag };
  if (on("applyAdalora")) {
    if (svd) return { method: "adalora", flag };
    const rule = "prunes SVD triplets only: add --lora_type svd";
    throw errors.flag(flag.slice(2), rule, "for LoRA pairs there is --method prune-lora");
  }
  if (on("applyLora")) return { method: svd ? "svd-lora" : "lora", flag };
  return { method: "full", flag };
}

/** One line that names the flags given for what is always so; undefined without any. */
export function settledNote(given: FlagMap): string | undefined {
  const parts = Object.entries(settledFlags).flatMap(([key, { about }]) => {
    const flag = given.get(key)?.flag;
    return flag === undefined ? [] : [`${flag} (${about})`];
  });
  return parts.length === 0 ? undefined : `no effect here: ${parts.join(", ")}`;
}

/**
 * Drops the launcher in front of a pasted script: `python -m torch.distributed.launch … run_glue.py`. Throws
 * E_FLAG when it starts several processes, whose batches would add up.
 */
export function withoutLauncher(args: readonly string[]): readonly string[] {
  if (!/^(python[\d.]*|torchrun|accelerate)$/.test(args[0] ?? "")) return args;
  const script = args.findIndex((arg) => arg.endsWith(".py"));
  if (script < 0) return args;
  const launcher = args.slice(0, script).join(" ");
  const processes = Number(/--(?:nproc_per_node|num_processes)[= ](\d+)/.exec(launcher)?.[1] ?? 1);
  if (processes > 1) {
    throw errors.flag(
      launcher.includes("num_processes") ? "num_processes" : "nproc_per_node",
      `is ${processes}, but a run is one process`,
      `leave the launcher out, and add --grad-accum ${processes} for the same batch`,
    );
  }
  return args.slice(script + 1);
}
