"""Writes the golden cases of features that the other cases lack, in their format (test/golden/cases/README.md).

  pip install torch transformers peft safetensors
  PYTHONHASHSEED=0 python golden_cases.py LORALIB OUT

LORALIB is the folder `loralib` of the AdaLoRA authors' repository (QingruZhang/AdaLoRA, commit d10f5eb), which holds the package.
03-qa-types: questions with segments. 05-adalora-own-modules: two kinds of layers alone. 06-peft-adalora-qa-clipped: questions in PEFT with
clipping, in whose norm ranknum's gradient counts; -float32: the same on a base of float32, whose ranknum PEFT does not train.
06-peft-lora-qa-patterns: ranks and alphas by pattern, and rslora's scale.
"""
import json, math, os, shutil, sys
from pathlib import Path
import torch
import torch.nn.functional as F
from peft import AdaLoraConfig, LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import DebertaV2Config, DebertaV2ForQuestionAnswering, DebertaV2ForSequenceClassification
sys.path.insert(0, sys.argv[1])
import loralib

torch.set_num_threads(1)
OUT = Path(sys.argv[2]).resolve()
CLASSES = {"qa": DebertaV2ForQuestionAnswering, "seqcls": DebertaV2ForSequenceClassification}
TINY = dict(vocab_size=40, hidden_size=12, num_hidden_layers=1, num_attention_heads=1, intermediate_size=20, hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0, max_position_embeddings=32, relative_attention=True, position_buckets=8,
            norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False)
RUN = dict(r=3, alpha=16, target_rank=1, init_warmup=3, final_warmup=5, mask_interval=2, beta1=0.85, beta2=0.85, lr=0.02, lr_warmup=3,
           adam_betas=[0.9, 0.999], adam_eps=1e-8, weight_decay=0.01, max_grad_norm=0.5, orth_coef=0.3, total_step=16)


def base_model(kind, folder, seed, **config):
    """Saves a random model with large weights, and returns it in float64."""
    shutil.rmtree(folder, ignore_errors=True)
    model, g = CLASSES[kind](DebertaV2Config(**{**TINY, **config})), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            p.copy_(1 + 0.2 * draw if "LayerNorm.weight" in name else (0.4 if "embed" in name else 0.2) * draw)
    model.save_pretrained(folder)
    return load(kind, folder)


def load(kind, folder):
    return CLASSES[kind].from_pretrained(folder).double().eval()


def batch(kind, g, rows, width, vocab=TINY["vocab_size"]):
    lengths = torch.randint(width // 2, width + 1, (rows,), generator=g)
    mask = (torch.arange(width)[None] < lengths[:, None]).long()
    ids = torch.randint(3, vocab, (rows, width), generator=g) * mask
    out = {"input_ids": ids, "attention_mask": mask}
    if kind == "seqcls":
        return {**out, "labels": ids[:, 1] % 2}
    starts = ids[:, 1] % (lengths - 2)
    return {**out, "start_positions": starts, "end_positions": torch.minimum(starts + ids[:, 2] % 3, lengths - 1)}


def task_loss(kind, model, b):
    inputs = {k: v for k, v in b.items() if k in ("input_ids", "attention_mask", "token_type_ids")}
    out = model(**inputs)
    if kind == "seqcls":
        return F.cross_entropy(out.logits, b["labels"]), out
    sides = (out.start_logits, b["start_positions"]), (out.end_logits, b["end_positions"])
    return sum(F.cross_entropy(logits, positions) for logits, positions in sides) / 2, out


def write(folder, tensors, info):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(info, indent=1, sort_keys=True) + "\n")


def qa_types(folder):
    model = base_model("qa", folder, 1, type_vocab_size=2)
    b = batch("qa", torch.Generator().manual_seed(2), 3, 12)
    b["token_type_ids"] = (torch.arange(12)[None] >= 5).long() * b["attention_mask"]
    loss, out = task_loss("qa", model, b)
    loss.backward()
    tensors = {"input." + k: v for k, v in b.items()} | {"loss": loss, "out.start_logits": out.start_logits, "out.end_logits": out.end_logits}
    write(folder, tensors | {"grad." + n: p.grad for n, p in model.named_parameters()}, {"kind": "qa"})


def initialize(model, seed, lora):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "lora_A" in name or ("lora_B" in name and not lora):
                p.copy_(torch.randn(p.shape, generator=g) * 0.05)
            elif "lora_" in name:
                p.zero_()


def optimizer(trainable, s):
    decay = lambda name: not name.endswith("bias") and "LayerNorm" not in name
    groups = [{"params": [p for n, p in trainable if decay(n) == on], "weight_decay": s["weight_decay"] if on else 0.0} for on in (True, False)]
    opt = torch.optim.AdamW(groups, lr=s["lr"], betas=tuple(s["adam_betas"]), eps=s["adam_eps"], foreach=False)
    warmup, total = s["lr_warmup"], s["total_step"]
    rate = lambda step: step / warmup if step < warmup else (total - step) / (total - warmup)
    return opt, torch.optim.lr_scheduler.LambdaLR(opt, rate)


def own_modules(folder, targets=("query_proj", "output.dense")):
    s = {**RUN, "kind": "seqcls", "method": "adalora", "target_total_rank": None}
    model = base_model("seqcls", folder, 3)
    names = sorted(n for n, m in model.deberta.named_modules(prefix="deberta") if isinstance(m, torch.nn.Linear) and n.endswith(targets))
    for name in names:
        old, parent = model.get_submodule(name), model.get_submodule(name.rsplit(".", 1)[0])
        new = loralib.SVDLinear(old.in_features, old.out_features, r=s["r"], lora_alpha=s["alpha"], merge_weights=False).double()
        new.weight.data, new.bias.data = old.weight.data, old.bias.data
        setattr(parent, name.rsplit(".", 1)[1], new)
    initialize(model, 4, False)
    for name, p in model.named_parameters():
        p.requires_grad = ("lora_" in name or not name.startswith("deberta")) and not name.endswith("ranknum")
    trainable = [(n, p) for n, p in model.train().named_parameters() if p.requires_grad]
    g = torch.Generator().manual_seed(5)
    data = [batch("seqcls", g, 4, 10) for _ in range(s["total_step"])]
    t = {"batch." + k: torch.stack([b[k] for b in data]) for k in data[0]} | {"init." + n: p.detach().clone() for n, p in trainable}
    opt, rates = optimizer(trainable, s)
    allocator = loralib.RankAllocator(model, lora_r=s["r"], target_rank=s["target_rank"], init_warmup=s["init_warmup"],
                                      final_warmup=s["final_warmup"], mask_interval=s["mask_interval"], beta1=s["beta1"], beta2=s["beta2"])
    allocator.set_total_step(s["total_step"])
    steps = []
    for step, b in enumerate(data):
        loss, orth = task_loss("seqcls", model, b)[0], loralib.compute_orth_regu(model, 1.0)
        (loss + s["orth_coef"] * orth).backward()
        norm, lr = torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"]), opt.param_groups[0]["lr"]
        opt.step(), rates.step()
        budget, threshold = allocator.update_and_mask(model, step)
        steps.append(dict(step=step, task_loss=loss.item(), orth_loss=orth.item(), grad_norm=norm.item(), lr=lr, budget=budget, threshold=threshold))
        if threshold is not None:
            steps[-1]["kept"] = {n: "".join("01"[int(e != 0)] for e in model.get_submodule(n).lora_E.flatten()) for n in names}
        opt.zero_grad()
    write(folder, t | {"final." + n: p for n, p in trainable}, dict(case=s, modules=names, steps=steps))


def peft_case(folder, seed, method, settings, config, dtype=torch.float64):
    """PEFT's own training on questions, in float64. On a base of another dtype than float32 ranknum is a trained parameter."""
    s = {**RUN, "kind": "qa", "method": method, **settings}
    folder.mkdir(exist_ok=True)
    model = get_peft_model(base_model("qa", folder / "base", seed).to(dtype), config).to(torch.float64)
    initialize(model, seed + 1, method == "lora")
    short = lambda name: name.replace(".modules_to_save.default.", ".").replace(".default", "")
    trainable = [(n, p) for n, p in model.train().named_parameters() if p.requires_grad]
    g = torch.Generator().manual_seed(seed + 2)
    data = [batch("qa", g, 4, 10) for _ in range(s["total_step"])]
    t = {"batch." + k: torch.stack([b[k] for b in data]) for k in data[0]} | {"init." + short(n): p.detach().clone() for n, p in trainable}
    opt, rates = optimizer(trainable, s)
    steps = []
    for step, b in enumerate(data):
        loss = model(**b).loss
        loss.backward()
        norm, lr = torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"]), opt.param_groups[0]["lr"]
        opt.step(), rates.step()
        steps.append(dict(step=step, peft_loss=loss.item(), grad_norm=norm.item(), lr=lr))
        if method == "adalora":
            steps[-1]["budget"] = model.base_model.rankallocator.budget_schedule(step)[0]
            model.base_model.update_and_allocate(step)
            steps[-1]["nonzero_E"] = {short(n).removeprefix("base_model.model.").removesuffix(".lora_E"): int((p != 0).sum())
                                      for n, p in sorted(model.named_parameters()) if ".lora_E" in n}
        opt.zero_grad()
    t |= {"final." + short(n): p.detach().clone() for n, p in trainable}
    os.chdir(folder)
    model.peft_config["default"].base_model_name_or_path = "base"
    model.float().save_pretrained("adapter")
    (folder / "adapter/README.md").unlink(missing_ok=True)
    b = batch("qa", g, 3, 11)
    t |= {"eval.input_ids": b["input_ids"], "eval.attention_mask": b["attention_mask"]}
    loaded = PeftModel.from_pretrained(load("qa", folder / "base"), folder / "adapter").double().eval()
    for name, one in [("base_only", load("qa", folder / "base")), ("adapter", loaded), ("merged", None)]:
        with torch.no_grad():
            out = (one or loaded.merge_and_unload())(input_ids=b["input_ids"], attention_mask=b["attention_mask"])
        t |= {f"eval.{name}.start_logits": out.start_logits, f"eval.{name}.end_logits": out.end_logits}
    keys = {k: list(v.shape) for k, v in load_file(folder / "adapter/adapter_model.safetensors").items()}
    write(folder, t, dict(case=s, steps=steps, adapter_keys=keys))


qa_types(OUT / "03-qa-types")
own_modules(OUT / "05-adalora-own-modules")
common = dict(lora_dropout=0.0, task_type="QUESTION_ANS", modules_to_save=["qa_outputs"], lora_alpha=RUN["alpha"])
adalora = lambda: AdaLoraConfig(
    init_r=RUN["r"], target_r=RUN["target_rank"], tinit=RUN["init_warmup"], tfinal=RUN["final_warmup"], deltaT=RUN["mask_interval"],
    beta1=RUN["beta1"], beta2=RUN["beta2"], orth_reg_weight=RUN["orth_coef"], total_step=RUN["total_step"],
    target_modules=["query_proj", "value_proj", "intermediate.dense"], **common)
peft_case(OUT / "06-peft-adalora-qa-clipped", 6, "adalora", {}, adalora())
peft_case(OUT / "06-peft-adalora-qa-float32", 6, "adalora", {}, adalora(), torch.float32)
peft_case(OUT / "06-peft-lora-qa-patterns", 9, "lora", {"use_rslora": True}, LoraConfig(
    r=RUN["r"], use_rslora=True, rank_pattern={"key_proj": 2, "output.dense": 4}, alpha_pattern={"query_proj": 5, "output.dense": 24},
    target_modules=["query_proj", "key_proj", "intermediate.dense", "output.dense"], **common))
