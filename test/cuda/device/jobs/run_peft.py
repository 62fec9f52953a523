"""AdaLoRA steps of transformers + PEFT on the batches of a file; a JSON line for each workload.

python3 run_peft.py WORKS.json DEVICE: see peft.ts, which writes the file and starts this. In bf16 DeBERTa is
measured without padding, too, where `pip install disentangled-flash` was run: see packed_deberta.py.
"""

import json
import sys
import time

SKIPPED = 3
try:
    import torch
    import transformers
    import peft
except ImportError as error:
    print(error, file=sys.stderr)
    sys.exit(SKIPPED)
try:
    import packed_deberta
except ImportError as error:
    print(error, "- DeBERTa is measured with its own attention alone", file=sys.stderr)
    packed_deberta = None

DEBERTA = ["query_proj", "key_proj", "value_proj", "attention.output.dense", "intermediate.dense", "output.dense"]
BART = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
KINDS = {
    "classify": ("DebertaV2ForSequenceClassification", peft.TaskType.SEQ_CLS, DEBERTA, ["pooler", "classifier"]),
    "answer": ("DebertaV2ForQuestionAnswering", peft.TaskType.QUESTION_ANS, DEBERTA, ["qa_outputs"]),
    "summarize": ("BartForConditionalGeneration", peft.TaskType.SEQ_2_SEQ_LM, BART, None),
}


def padded(rows, width, fill):
    return torch.tensor([row + [fill] * (width - len(row)) for row in rows])


def batch_of(rows, kind):
    ids = [row["ids"] for row in rows]
    width = max(row["width"] for row in rows)
    batch = {
        "input_ids": padded(ids, width, 1 if kind == "summarize" else 0),
        "attention_mask": padded([[1] * len(row) for row in ids], width, 0),
    }
    if kind == "classify":
        batch["labels"] = torch.tensor([row["label"] for row in rows])
    elif kind == "answer":
        batch["start_positions"] = torch.tensor([row["span"][0] for row in rows])
        batch["end_positions"] = torch.tensor([row["span"][1] for row in rows])
    else:
        targets = [row["target"] for row in rows]
        batch["labels"] = padded(targets, max(map(len, targets)), -100)
    return batch


def packing_of(rows, device):
    lengths = [len(row["ids"]) for row in rows]
    return packed_deberta.Packing(lengths, max(row["width"] for row in rows), device)


def adapted(work, device, attention):
    """The model, and what packs its batches, if its attention is packed_deberta's."""
    name, task, targets, heads = KINDS[work["kind"]]
    config = dict(work["config"])
    config_class = {"deberta-v2": transformers.DebertaV2Config, "bart": transformers.BartConfig}[config.pop("model_type")]
    is_packed = attention not in ("eager", "sdpa")
    whole = config_class(**config, attn_implementation="eager" if is_packed else attention)
    whole.use_cache = False
    with torch.device(device):
        model = getattr(transformers, name)(whole)
    packed = packed_deberta.Packed(model, device) if is_packed else None
    # Every step after the first is masked, as in our benchmark.
    settings = peft.AdaLoraConfig(
        task_type=task, target_modules=targets, modules_to_save=heads, lora_alpha=32, lora_dropout=0.0,
        init_r=12, target_r=8, beta1=0.85, beta2=0.85, orth_reg_weight=0.1,
        tinit=0, tfinal=100, total_step=1000, deltaT=1,
    )
    torch.manual_seed(1)  # packed_deberta has drawn numbers of its own
    return peft.get_peft_model(model, settings).to(device).train(), packed


def measure(work, device, dtype, attention, compiled, synchronize):
    torch.manual_seed(0)  # the same weights for every attention
    model, packed = adapted(work, device, attention)
    if compiled:
        model.base_model.model.forward = torch.compile(model.base_model.model.forward)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=0.01, fused=True)
    scheduler = transformers.get_linear_schedule_with_warmup(optimizer, 10, 1000)
    batches = [{k: v.to(device) for k, v in batch_of(rows, work["kind"]).items()} for rows in work["batches"]]
    packings = [packing_of(rows, device) for rows in work["batches"]] if packed else None
    seconds, loss = [], None
    for i in range(work["warmup"] + work["steps"]):
        synchronize()
        started = time.perf_counter()
        if packed:
            packed.packing = packings[i % len(packings)]
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=dtype == "bf16"):
            loss = model(**batches[i % len(batches)]).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        scheduler.step()
        model.base_model.update_and_allocate(i)
        optimizer.zero_grad()
        loss = loss.item()
        synchronize()
        seconds.append(time.perf_counter() - started)
    timed = sorted(seconds[work["warmup"]:])
    return {"secondsPerStep": {"min": timed[0], "median": timed[len(timed) // 2], "max": timed[-1]}, "loss": loss}


def main(path, device):
    with open(path) as file:
        works = json.load(file)
    on_gpu = device.startswith("cuda")
    if on_gpu and not torch.cuda.is_available():
        print("torch finds no device", file=sys.stderr)
        sys.exit(SKIPPED)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "peft": peft.__version__}
    own = [(work, "sdpa" if work["kind"] == "summarize" else "eager") for work in works]
    plan = [(work, "bf16", attention, False) for work, attention in own]
    if packed_deberta:
        plan += [(work, "bf16", packed_deberta.NAME, False) for work, attention in own if attention == "eager"]
    plan += [(work, "f32", attention, False) for work, attention in own]
    if on_gpu:
        plan += [(work, "bf16", attention, True) for work, attention in own[:3]]  # last: compiling takes a minute
    for work, dtype, attention, compiled in plan:
        line = {"workload": work["name"], "dtype": dtype, "attention": attention, "compiled": compiled, "versions": versions}
        print(f"... {line['workload']} {dtype} {attention}", file=sys.stderr, flush=True)
        if on_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        try:
            line.update(measure(work, device, dtype, attention, compiled, torch.cuda.synchronize if on_gpu else lambda: None))
            if on_gpu:
                line["deviceMib"] = torch.cuda.max_memory_reserved() / 2**20
        except Exception as error:  # the others may work
            line["error"] = f"{type(error).__name__}: {error}"[:500]
        print(json.dumps(line), flush=True)


main(*sys.argv[1:3])
