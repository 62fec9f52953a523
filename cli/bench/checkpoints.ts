import { existsSync } from "node:fs";
import { join } from "node:path";
import { startAdapters } from "../../core/adalora/start.ts";
import { paperValues } from "../../core/adalora/starts/paper.ts";
import type { Backend, HostTensor } from "../../core/backend.ts";
import { errors } from "../../core/errors.ts";
import { openCheckpoint } from "../../core/io/checkpoint-files.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import type { ModuleTree } from "../../core/nn/module-scope.ts";
import { normals } from "../../core/rng.ts";
import { loadWeights } from "../../core/model/load-weights.ts";
import type { AdaptedModel } from "../../core/model/open-model.ts";
import type { Workload } from "./workloads.ts";

/** Configurations of the released models, for runs without a checkpoint. */
export const builtIn = {
  "deberta-v3-base": {
    model_type: "deberta-v2",
    vocab_size: 128100,
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    max_position_embeddings: 512,
    relative_attention: true,
    position_buckets: 256,
    norm_rel_ebd: "layer_norm",
    share_att_key: true,
    pos_att_type: "p2c|c2p",
    position_biased_input: false,
    type_vocab_size: 0,
  },
  "bart-base": {
    model_type: "bart",
    vocab_size: 50265,
    d_model: 768,
    encoder_layers: 6,
    decoder_layers: 6,
    encoder_attention_heads: 12,
    decoder_attention_heads: 12,
    encoder_ffn_dim: 3072,
    decoder_ffn_dim: 3072,
    max_position_embeddings: 1024,
    activation_function: "gelu",
    dropout: 0.1,
    attention_dropout: 0.1,
    activation_dropout: 0.1,
    bos_token_id: 0,
    pad_token_id: 1,
    eos_token_id: 2,
    decoder_start_token_id: 2,
    forced_eos_token_id: 2,
  },
} as const;

/** The model of each kind of workload: a key of `builtIn`, and the name of its folder. */
const modelNames = {
  classify: "deberta-v3-base",
  answer: "deberta-v3-base",
  predict: "deberta-v3-base",
  summarize: "bart-base",
  generate: "bart-base",
} as const satisfies Readonly<Record<Workload["kind"], keyof typeof builtIn>>;

/** A workload's model: a checkpoint's folder, or undefined for random weights. */
export interface BenchModel {
  readonly dir: string | undefined;
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * Finds the model of a workload: `path` is a checkpoint's folder or a folder of checkpoints. Throws
 * E_FILE where it is neither.
 */
export function findModel({ kind }: Workload, path: string | null): BenchModel {
  const name = modelNames[kind];
  if (path === null) return { dir: undefined, config: builtIn[name] };
  const dir = [path, join(path, name)].find((each) => existsSync(join(each, "config.json")));
  if (dir !== undefined) return { dir, config: readJsonObject(join(dir, "config.json")) };
  const hint = `name a checkpoint's folder, or one that holds ${name}/`;
  throw errors.file(path, `holds neither config.json nor ${name}/config.json`, hint);
}

/**
 * Loads the checkpoint's weights into an adapted model, or random ones. Random weights lie in the
 * process's own memory, not in pages of a file, so bf16 takes more memory with them.
 */
export function fillModel(backend: Backend, adapted: AdaptedModel, { dir }: BenchModel): void {
  const where = dir ?? "random weights";
  const tensors = dir === undefined ? randomTensors(adapted.tree) : openCheckpoint(dir).tensors;
  const { tree, plugin, adapters } = adapted;
  loadWeights(backend, tree, tensors, plugin, { where, seed: 0 });
  startAdapters(backend, adapters, paperValues, 0);
}

// --- internal ---

/** Random values that are drawn; larger matrices repeat them, since drawing 184 million is slow. */
const DRAWN = 2 ** 18 - 1;

/** A tensor for each parameter, as a checkpoint has them. */
function randomTensors({ parameters, fills }: ModuleTree): ReadonlyMap<string, HostTensor> {
  const drawn = normals(DRAWN, 1, 0, 0);
  return new Map(
    [...parameters.values()].map(({ name, length, storedShape: shape }) => {
      const fill = fills.get(name);
      const values = new Float32Array(length).fill(fill === "ones" ? 1 : 0);
      if (typeof fill === "object") {
        const scaled = drawn.map((x) => x * fill.normal);
        for (let at = 0; at < length; at += DRAWN) values.set(scaled.subarray(0, length - at), at);
      }
      return [name, { dtype: "F32", shape, bytes: new Uint8Array(values.buffer) }];
    }),
  );
}
