import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readConfigFile } from "../../cli/config-file.ts";
import { errors } from "../../core/errors.ts";
import { openJsonLog } from "../../core/io/jsonl.ts";
import { readJsonObject } from "../../core/io/json-file.ts";
import { readPeftAdapter } from "../../core/io/peft.ts";
import { parsePattern } from "../../core/io/peft-patterns.ts";
import { openSafetensors } from "../../core/io/safetensors.ts";
import { openShards } from "../../core/io/shard-index.ts";
import type { StoredTensor } from "../../core/io/stored-tensor.ts";
import { openScalars } from "../../core/io/tensorboard.ts";
import { openTorchCheckpoint } from "../../core/io/torch-pickle.ts";
import { declareModel } from "../../core/model/open-model.ts";
import { startingLayers } from "../../core/model/starting-layers.ts";
import { readFinishedRun } from "../../core/run/finished-run.ts";
import { readSavedConfig } from "../../core/run/saved-config.ts";
import { resumeNewest, saveCheckpoint } from "../../core/train/checkpoint.ts";
import { builtInFamilies } from "../../plugins/index.ts";
import { tinySetup } from "../helpers/tiny-run.ts";
import type { Kind } from "./mutate.ts";
import type { Seed, Target } from "./target.ts";

const fixtures = join(import.meta.dir, "../fixtures");
const golden = join(import.meta.dir, "../golden/cases");

const seedOf = (path: string, kind: Kind, name?: string): Seed => ({
  bytes: readFileSync(path),
  kind,
  ...(name === undefined ? {} : { name }),
});
const textSeed = (text: string, kind: Kind, name?: string): Seed => ({
  bytes: Buffer.from(text),
  kind,
  ...(name === undefined ? {} : { name }),
});
const io = (name: string, kind: Kind) => seedOf(join(fixtures, "io", name), kind);

/** Writes the changed file under its seed's name; returns its path. */
function write(dir: string, name: string, bytes: Uint8Array): string {
  const path = join(dir, name);
  writeFileSync(path, bytes);
  return path;
}

/** Touches every byte of the tensors: a view that lies outside its file would end the process. */
function touch(tensors: ReadonlyMap<string, StoredTensor>): void {
  for (const { bytes } of tensors.values()) bytes.at(-1);
}

const options = join(fixtures, "peft-options");
const adapterFolders = [
  ...["peft-adalora", "peft-lora"].map((name) => join(fixtures, "io", name)),
  ...["rank-regex", "bias-all", "layers-pattern", "exclude-regex", "adalora-masked"].map((name) =>
    join(options, name),
  ),
];

/** Reads an adapter, and what a run would start from. */
function readAdapter(dir: string): void {
  const adapter = readPeftAdapter(dir);
  for (const method of ["adalora", "lora"] as const) {
    startingLayers(adapter, { method, pruned: "kept", initRank: 8, alpha: 16 });
  }
}

const PATHS = [
  "deberta.encoder.layer.0.attention.self.query_proj",
  "model.decoder.layers.11.fc1",
  "a".repeat(400),
  `${"a.".repeat(200)}dense`,
];

/** Binary files, and JSON beside them. */
export const fileTargets: readonly Target[] = [
  {
    name: "safetensors",
    seeds: () => [io("expected.safetensors", "safetensors"), io("expected.safetensors", "binary")],
    read: (bytes, _, dir) => touch(openSafetensors(write(dir, "x.safetensors", bytes)).tensors),
  },
  {
    name: "torch zip",
    seeds: () =>
      ["zip.bin", "zip-protocol-4.bin", "small.bin", "expanded.bin"].map((n) => io(n, "binary")),
    read: (bytes, _, dir) => touch(openTorchCheckpoint(write(dir, "x.bin", bytes))),
  },
  {
    name: "torch legacy",
    seeds: () => ["legacy.bin", "legacy-view.bin"].map((name) => io(name, "binary")),
    read: (bytes, _, dir) => touch(openTorchCheckpoint(write(dir, "x.bin", bytes))),
  },
  {
    name: "shard index",
    seeds: () => {
      const map = { a: "x.safetensors", b: "y.safetensors" };
      return [textSeed(JSON.stringify({ metadata: {}, weight_map: map }), "json")];
    },
    read: (bytes, _, dir) => openShards(write(dir, "i.index.json", bytes), () => new Map()),
  },
  {
    name: "PEFT adapter",
    seeds: () =>
      adapterFolders.flatMap((folder) => [
        seedOf(join(folder, "adapter_config.json"), "json", folder),
        seedOf(join(folder, "adapter_model.safetensors"), "safetensors", folder),
      ]),
    read(bytes, { kind, name = "" }, dir) {
      for (const [file, own] of [
        ["adapter_config.json", "json"],
        ["adapter_model.safetensors", "safetensors"],
      ] as const) {
        write(dir, file, kind === own ? bytes : readFileSync(join(name, file)));
      }
      readAdapter(dir);
    },
  },
  {
    name: "pickled PEFT adapter",
    seeds: () => [seedOf(join(options, "pickled", "adapter_model.bin"), "binary")],
    read(bytes, _, dir) {
      write(dir, "adapter_model.bin", bytes);
      write(dir, "adapter_config.json", readFileSync(join(options, "pickled/adapter_config.json")));
      readAdapter(dir);
    },
  },
  {
    name: "module pattern",
    seeds: () =>
      [
        String.raw`layer\.\d+\.attention\.self\.(query|key)_proj`,
        "(?!.*attention)[^.a-z]{2,5}(?:a|b)*?dense",
        String.raw`^deberta\.encoder\.(?P<layer>[0-9]+)\..*\b`,
      ].map((text) => textSeed(text, "text")),
    read(bytes) {
      const pattern = { [Buffer.from(bytes).toString("utf8")]: 1 };
      const lookUp = parsePattern({ alpha_pattern: pattern }, "alpha_pattern", "config");
      for (const path of PATHS) lookUp(path);
    },
  },
  {
    name: "config.json",
    seeds: () =>
      ["01-seqcls-2labels", "02-conv-layer", "04-bart"].map((name) =>
        seedOf(join(golden, name, "config.json"), "json"),
      ),
    read(bytes, _, dir) {
      const raw = readJsonObject(write(dir, "config.json", bytes));
      const { plugin } = builtInFamilies.familyOf(String(raw["model_type"]));
      const [task = "classification"] = plugin.tasks;
      declareModel(plugin, plugin.parseConfig(raw), { task, labels: 2 });
    },
  },
  checkpointTarget(),
  {
    name: "finished run",
    seeds: () => {
      const metrics = {
        steps: 3,
        seconds: 1,
        best: { step: 1, value: 0.5 },
        metrics: { test: { f1: 1 } },
      };
      const intervals = { test: { f1: { low: 0, high: 1 } } };
      return [
        textSeed(JSON.stringify({ ...metrics, intervals }), "json", "metrics.json"),
        textSeed(
          JSON.stringify({ task: "rte", model: "m", lr: 0.1, modules: ["query"] }),
          "json",
          "config.json",
        ),
      ];
    },
    read(bytes, { name = "" }, dir) {
      write(dir, name, bytes);
      return name === "config.json" ? readSavedConfig(dir) : readFinishedRun(dir);
    },
  },
  {
    name: "TensorBoard",
    seeds: () => [io("tensorboard.tfevents", "binary")],
    read(bytes, _, dir) {
      write(dir, "events.out.tfevents.1.x", bytes);
      openScalars(dir, { resumeAfter: 1 }).close();
    },
  },
  {
    name: "JSON log",
    seeds: () => [textSeed('{"step":1,"loss":0.5}\n{"eval":2}\n{"step":2}\n', "text")],
    read: (bytes, _, dir) =>
      openJsonLog(write(dir, "log.jsonl", bytes), { resumeAfter: 1 }).close(),
  },
  {
    name: "run config",
    seeds: () => [
      textSeed(
        'lora_r = 4\nlr = 1e-3\ninit-warmup = "10%"\nmodules = ["query", "key"]\n',
        "text",
        "a.toml",
      ),
      textSeed("initRank: 4\nlr: 1e-3\nmodules: [query, key]\ndropout: null\n", "text", "a.yaml"),
      textSeed(
        '{"task": "rte", "lr": "1e-3", "modules": ["query"], "threads": 2}',
        "json",
        "a.json",
      ),
    ],
    read: (bytes, { name = "" }, dir) => readConfigFile(write(dir, name, bytes)),
  },
];

/** A checkpoint of a tiny run, with its progress or its state changed. */
function checkpointTarget(): Target {
  const { backend, trainer } = tinySetup({ checkpointDir: "" });
  let saved: readonly Seed[] = [];
  return {
    name: "checkpoint",
    seeds() {
      const dir = mkdtempSync(join(tmpdir(), "adalora-fuzz-checkpoint-"));
      const evaluated = { evaluations: 0, evaluatedStep: 0, best: null, bestCounted: null };
      const seconds = { start: 0, training: 0, evaluation: 0 };
      const counts = { step: 0, passes: 0, evaluationsSinceBest: 0, seconds };
      saveCheckpoint(dir, backend, trainer, { ...counts, ...evaluated, fingerprint: "x" }, 1);
      const step = join(dir, "step-0");
      saved = [
        seedOf(join(step, "progress.json"), "json", "progress.json"),
        seedOf(join(step, "state.safetensors"), "safetensors", "state.safetensors"),
      ];
      rmSync(dir, { recursive: true });
      return saved;
    },
    read(bytes, { name: changed }, dir) {
      const step = join(dir, "step-0");
      mkdirSync(step);
      for (const { name = "", bytes: own } of saved) {
        write(step, name, name === changed ? bytes : own);
      }
      const [message] = resumeNewest(dir, backend, trainer, "x").damaged;
      if (message !== undefined) throw errors.file(dir, message);
    },
  };
}
