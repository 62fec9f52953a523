"""Trains MiniLM on GLUE, merges the adapter, and compares the merged model's predictions with the adapter's on every row of dev.

  pip install torch safetensors
  python merged.py PROJECT START GLUE OUT

START: labels-1 and labels-2, checkpoints of MiniLM with untrained heads; GLUE: the tasks' folders. Also merges into the base in
bfloat16, where rounding changes the logits. Prints the rows, those with another class, and the largest difference of a logit; exits 1
if the f32 model has another class or a difference above 1e-5.
"""
import json, shutil, subprocess, sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file

project, start, glue, out = map(Path, sys.argv[1:5])
PLUGIN = ["--plugin", "examples/plugins/bert.ts"]
TASKS = {"stsb": ("STS-B", "labels-1"), "sst2": ("SST-2", "labels-2"), "cola": ("CoLA", "labels-2")}
SCHEDULE = ["--init-rank", 8, "--target-rank", 4, "--max-steps", 60, "--init-warmup", 6, "--final-warmup", 20, "--mask-interval", 5, "--lr",
            "2e-3", "--train-limit", 2000, "--max-length", 64, "--seed", 1]


def adalora(*words):
    done = subprocess.run([str(word) for word in ("./adalora", *words)], cwd=project, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"adalora {words[0]} failed: {done.stderr[-400:]}")
    return done.stdout


def predictions(name, data, *source):
    file = out / f"{name}.jsonl"
    adalora("predict", *source, "--input", data / "dev.tsv", "--out", file, "--overwrite")
    return [json.loads(line) for line in file.read_text().splitlines()]


def compare(name, before, after):
    values = [(a.get("logits") or [a["prediction"]], b.get("logits") or [b["prediction"]]) for a, b in zip(before, after, strict=True)]
    largest = max(abs(x - y) for a, b in values for x, y in zip(a, b, strict=True))
    changed = sum(a["prediction"] != b["prediction"] for a, b in zip(before, after) if isinstance(a["prediction"], str))
    print(f"{name}: {len(before)} rows, {changed} with another class, largest difference {largest:.1e}", flush=True)
    return changed == 0 and largest <= 1e-5


ok = True
for task, (folder, head) in TASKS.items():
    base, data, run = start / head, glue / folder, out / task
    shutil.rmtree(run, ignore_errors=True)
    adalora("run", task, *PLUGIN, "--model", base, "--data", data, *SCHEDULE, "--out", run, "--quiet")
    adalora("merge", run, "-o", out / f"{task}-merged", "--overwrite")
    own = predictions(f"{task}-adapter", data, "--adapter", run)
    merged = predictions(f"{task}-merged", data, "--model", out / f"{task}-merged", *PLUGIN)
    ok &= compare(f"{task}, f32", own, merged)

    narrow = out / f"{head}-bf16"
    shutil.copytree(base, narrow, dirs_exist_ok=True)
    weights = {key: value.bfloat16() for key, value in load_file(base / "model.safetensors").items()}
    save_file(weights, narrow / "model.safetensors", metadata={"format": "pt"})
    adalora("merge", run, "--model", narrow, "-o", out / f"{task}-merged-bf16", "--overwrite")
    own = predictions(f"{task}-adapter-bf16", data, "--adapter", run, "--model", narrow)
    merged = predictions(f"{task}-merged-bf16", data, "--model", out / f"{task}-merged-bf16", *PLUGIN)
    compare(f"{task}, base in bf16", own, merged)
sys.exit(0 if ok else 1)
