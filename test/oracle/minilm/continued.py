"""PEFT trains MiniLM for some steps; the program trains on from its files, and PEFT itself does too: the losses must be equal.

  python continued.py START GLUE PROJECT METHOD STEPS OUT [FIRST]    (START and GLUE as for minilm.py; METHOD: adalora or lora)

With FIRST, settings such as start=lora,lr_e=0.02,budget_unit=parameters, the program trains first instead, and PEFT loads what it saved:
the logits must be equal too.

STS-B in batches of 4, float32, dropout 0, a fresh optimizer. Prints the largest relative difference of a loss; exits 1 above 1e-5,
with FIRST above 1e-4: the squared error of a small residual magnifies the logits' rounding.
PEFT's allocator would count triplets in its new budget that the files have no more, and prune others in their place: it is told what is left.
"""
import itertools, json, subprocess, sys
from pathlib import Path
import torch
from peft import PeftConfig, PeftModel
from transformers import BertForSequenceClassification
import minilm

start, glue, project, method, steps, out, *own = sys.argv[1:]
steps, out, task = int(steps), Path(out).resolve(), minilm.TASKS["stsb"]
out.mkdir(parents=True, exist_ok=True)
minilm.BATCH = 4
WARMUP, FINAL, INTERVAL = round(0.1 * steps), round(0.35 * steps), 10


def train(model, batches, adalora):
    optimizer, schedule, trained = minilm.optimizer_of(model, steps)
    losses = []
    model.train()
    for step, batch in enumerate(batches):
        loss = model(**batch).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, minilm.CLIP)
        optimizer.step(), schedule.step()
        if adalora:
            model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def padded(rows):
    width = max(map(len, rows))
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])


torch.manual_seed(1)
adalora, EVALUATED = method == "adalora", 200
bun, adapter = f"{project}/node_modules/.bin/bun", out / "adapter"
flags = dict(task="stsb", model=f"{start}/labels-1", data=f"{glue}/STS-B", method=method, lr=2e-3, schedule="linear", weight_decay=0.01,
             warmup_steps=round(0.06 * steps), max_grad_norm=1, dropout=0, cls_dropout=0, batch_size=4, max_length=128, max_steps=steps,
             eval_steps=10 ** 6, save_steps=10 ** 6, log_steps=1, eval_limit=EVALUATED, dtype="f32", threads=1, seed=3, bucketed=False, device="cpu",
             **(dict(semantics="peft", init_warmup=WARMUP, final_warmup=FINAL, mask_interval=INTERVAL, target_rank=2) if adalora else {}))
flags["plugins"] = [f"{project}/examples/plugins/bert.ts"]


def run(folder, **more):
    """A run of the program; returns its losses, with the orthogonality loss, and its logits."""
    (out / f"{folder}.json").write_text(json.dumps(flags | more))
    words = ["run", out / f"{folder}.json", "--out", out / folder, "--overwrite", "--quiet"]
    subprocess.run([bun, "cli/main.ts", *words], cwd=project, check=True, stdout=subprocess.DEVNULL)
    read = lambda name: [json.loads(line) for line in (out / folder / name).read_text().splitlines()]
    losses = [r["task_loss"] + (0.1 * r["orth_loss"] if adalora else 0) for r in read("log.jsonl") if "task_loss" in r]
    return losses, [r["logits"] for r in sorted(read("predictions.jsonl"), key=lambda r: r["index"])]


if own:
    ranks = dict(init_rank=8, target_rank=4, alpha=16) if adalora else dict(init_rank=4, alpha=8)
    given = dict(setting.split("=") for setting in own[0].split(","))
    given = {name: float(value) if name.startswith("lr") else value for name, value in given.items()}
    first, logits = run("first", batch_size=32, **ranks, **given)
    adapter = out / "first/adapter"
else:
    split = minilm.Split(start, glue, task, "train.tsv")
    model = minilm.adapted(start, task, method, steps, dropout=False)
    first = train(model, (split.batch(rows, torch.float32) for rows in itertools.islice(split.epochs(1), steps)), adalora)
    model.save_pretrained(adapter)
flags["from"] = str(adapter)
(out / "run.json").write_text(json.dumps(flags))
printed = subprocess.run([bun, "test/oracle/run-batches.ts", out / "run.json"], cwd=project, check=True, capture_output=True, text=True).stdout
batches = [{"input_ids": padded(b["ids"]), "token_type_ids": padded(b["types"]), "attention_mask": padded([[1] * len(row) for row in b["ids"]]),
            "labels": torch.tensor(b["labels"], dtype=torch.float32)} for b in json.loads(printed)]

config = PeftConfig.from_pretrained(adapter)
config.inference_mode = False
if adalora:
    config.total_step, config.tinit, config.tfinal, config.deltaT, config.target_r = steps, WARMUP, FINAL, INTERVAL, 2
base = BertForSequenceClassification.from_pretrained(f"{start}/labels-1", attn_implementation="eager", dtype=torch.float32,
                                                     hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
model = PeftModel.from_pretrained(base, adapter, config=config, is_trainable=True)
if own:
    dev = minilm.Split(start, glue, task, "dev.tsv")
    dev.rows, dev.labels = dev.rows[:EVALUATED], dev.labels[:EVALUATED]
    apart = max(abs(a - b) for ours, theirs in zip(logits, minilm.dev_logits(model, dev), strict=True) for a, b in zip(ours, theirs))
    print(f"{method}, {own[0]}: largest difference of a logit in PEFT {apart:.1e} of {EVALUATED} rows")
    assert apart < 1e-4
if adalora:
    model.base_model.rankallocator._set_budget_scheduler(model.base_model.model)
theirs = train(model, batches, adalora)

ours, _ = run("run")
assert len(ours) == len(theirs) == steps
differences = [abs(a - b) / abs(b) for a, b in zip(ours, theirs)]
ranks = json.loads((out / "run/rank_pattern.json").read_text()).values()
print(f"{method}: {steps} steps from {first[0]:.4f} to {first[-1]:.4f}, then {steps} more to {theirs[-1]:.4f}: "
      f"largest relative difference {max(differences):.1e}, first step {differences[0]:.1e}; ranks left {sum(ranks)}")
sys.exit(max(differences) > (1e-4 if own else 1e-5))
