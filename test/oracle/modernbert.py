"""Writes the golden cases of ModernBERT, in the format of test/golden/cases/README.md.

  pip install torch transformers safetensors
  python modernbert.py OUT [LORALIB]

LORALIB is the folder `loralib` of the AdaLoRA authors' repository (QingruZhang/AdaLoRA, commit d10f5eb); without it the training case is
left out.

Sequences are longer than the window of 2 * 3 + 1 tokens, and both kinds of layers occur. Everything is computed in float64 by transformers'
own classes with SDPA, whose softmax keeps float64 (the eager path rounds it to float32). Two roundings of theirs to float32 are undone, so
that a model in float64 is one: that of queries and keys before rotation, and that of cos and sin. Angles and inverse frequencies stay
float32, as a float32 model has them.

07-modernbert-cls: every bias, rope_parameters, pooling by the first token, padding. 07-modernbert-mean: a released configuration's keys
(global_rope_theta, local_rope_theta, no layer_types), no biases, mean pooling. 07-modernbert-regression: one output. 07-modernbert-span:
questions, whose loss counts padded positions as SDPA computes them (a padded query far from all tokens attends to nothing), or tokens
alone. 07-modernbert-adalora: training by the authors' loralib with one SVDLinear for each of
query, key and value in Wqkv.
"""
import json, shutil, sys
from pathlib import Path
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import ModernBertConfig, ModernBertForQuestionAnswering, ModernBertForSequenceClassification
import modernbert_in_float64  # noqa: F401

torch.set_num_threads(1)
OUT = Path(sys.argv[1]).resolve()
CLASSES = {"seqcls": ModernBertForSequenceClassification, "qa": ModernBertForQuestionAnswering}
TINY = dict(vocab_size=24, hidden_size=16, intermediate_size=10, num_attention_heads=2, num_hidden_layers=4, local_attention=6,
            max_position_embeddings=64, pad_token_id=0, cls_token_id=1, bos_token_id=1, sep_token_id=2, eos_token_id=2)


def base_model(kind, folder, seed, released=(), **config):
    """Saves a random model with large weights, and returns it in float64. `released`: keys of config.json as released models have them."""
    shutil.rmtree(folder, ignore_errors=True)
    config = ModernBertConfig(**{**TINY, **config, **dict(released)})
    model, g = CLASSES[kind](config), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            p.copy_(1 + 0.2 * draw if "norm.weight" in name else (0.5 if "embed" in name else 0.2) * draw)
    model.save_pretrained(folder)
    if released:
        path = folder / "config.json"
        raw = json.loads(path.read_text())
        for key in ("rope_parameters", "layer_types"):
            raw.pop(key, None)
        path.write_text(json.dumps({**raw, **dict(released)}, indent=2, sort_keys=True) + "\n")
    model = CLASSES[kind].from_pretrained(folder, attn_implementation="sdpa").double().eval()
    return model


def batch(kind, g, rows, width, least, labels=2):
    lengths = torch.randint(least, width + 1, (rows,), generator=g)
    lengths[0] = width
    mask = (torch.arange(width)[None] < lengths[:, None]).long()
    out = {"input_ids": torch.randint(3, TINY["vocab_size"], (rows, width), generator=g) * mask, "attention_mask": mask}
    if kind == "seqcls":
        draw = torch.randn(rows, generator=g, dtype=torch.float64) if labels == 1 else out["input_ids"][:, 1] % labels
        return {**out, "labels": draw}
    starts = out["input_ids"][:, 1] % (lengths - 2)
    return {**out, "start_positions": starts, "end_positions": torch.minimum(starts + out["input_ids"][:, 2] % 3, lengths - 1)}


def outputs(kind, model, b):
    """The losses by tag, the logits by name, and the hidden states: the embeddings, then each layer's output before the last norm."""
    hidden = []
    modules = [model.model.embeddings, *model.model.layers]
    keep = lambda _module, _inputs, out: hidden.append(out if torch.is_tensor(out) else out[0])
    hooks = [module.register_forward_hook(keep) for module in modules]
    out = model(input_ids=b["input_ids"], attention_mask=b["attention_mask"])
    for hook in hooks:
        hook.remove()
    if kind == "seqcls":
        one = model.num_labels == 1
        loss = F.mse_loss(out.logits.flatten(), b["labels"]) if one else F.cross_entropy(out.logits, b["labels"])
        return {"": loss}, {"logits": out.logits}, hidden
    tokens = lambda logits: logits.masked_fill(b["attention_mask"] == 0, float("-inf"))
    sides = (out.start_logits, b["start_positions"]), (out.end_logits, b["end_positions"])
    loss = lambda counted: sum(F.cross_entropy(counted(logits), positions) for logits, positions in sides) / 2
    losses = {"": loss(lambda logits: logits), "_tokens": loss(tokens)}
    return losses, {"start_logits": out.start_logits, "end_logits": out.end_logits}, hidden


def write(folder, tensors, info):
    save_file({k: v.detach().clone().contiguous() for k, v in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(info, indent=1, sort_keys=True) + "\n")


def forward_case(name, kind, seed, least=6, gradients=lambda name: True, states=True, **config):
    folder = OUT / name
    model = base_model(kind, folder, seed, **config)
    b = batch(kind, torch.Generator().manual_seed(seed + 1), 3, 17, least, model.num_labels)
    losses, logits, hidden = outputs(kind, model, b)
    tensors = {"input." + k: v for k, v in b.items()}
    tensors |= {f"out.hidden.{i}": h for i, h in enumerate(hidden) if states}
    for tag, loss in losses.items():
        model.zero_grad()
        loss.backward(retain_graph=True)
        tensors |= {f"out{tag}.{k}": v for k, v in logits.items()} | {f"loss{tag}": loss}
        tensors |= {f"grad{tag}.{n}": p.grad.clone() for n, p in model.named_parameters() if gradients(n)}
    write(folder, tensors, {"kind": kind})


def initialize(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            if "lora_A" in name or "lora_B" in name:
                p.copy_(torch.randn(p.shape, generator=g) * 0.1)
            elif "lora_E" in name:
                p.zero_()


class Fused(torch.nn.Module):
    """Three layers that read the same input, side by side."""

    def __init__(self, wide, make):
        super().__init__()
        for name, rows in zip(("query", "key", "value"), wide.weight.data.chunk(3)):
            setattr(self, name, make(rows))

    def forward(self, x):
        return torch.cat([self.query(x), self.key(x), self.value(x)], dim=-1)


def training_case(name, loralib):
    s = dict(kind="seqcls", method="adalora", r=3, alpha=16, target_rank=1, target_total_rank=None, init_warmup=3, final_warmup=4,
             mask_interval=2, beta1=0.85, beta2=0.85, lr=0.02, lr_warmup=3, adam_betas=[0.9, 0.999], adam_eps=1e-8, weight_decay=0.01,
             max_grad_norm=0.5, orth_coef=0.3, total_step=12)
    folder = OUT / name
    model = base_model("seqcls", folder, 31, num_hidden_layers=2, num_labels=2)

    def adapted(weight):
        new = loralib.SVDLinear(weight.shape[1], weight.shape[0], bias=False, r=s["r"], lora_alpha=s["alpha"], merge_weights=False)
        new = new.double()
        new.weight.data = weight.clone()
        return new

    names = []
    for i, layer in enumerate(model.model.layers):
        layer.attn.Wqkv = Fused(layer.attn.Wqkv, adapted)
        for parent, child in ((layer.attn, "Wo"), (layer.mlp, "Wi"), (layer.mlp, "Wo")):
            setattr(parent, child, adapted(getattr(parent, child).weight.data))
        names += [f"model.layers.{i}.{path}" for path in ("attn.Wqkv.query", "attn.Wqkv.key", "attn.Wqkv.value", "attn.Wo", "mlp.Wi", "mlp.Wo")]
    initialize(model, 32)
    for n, p in model.named_parameters():
        p.requires_grad = ("lora_" in n or n.startswith(("head.", "classifier."))) and not n.endswith("ranknum")
    trainable = [(n, p) for n, p in model.train().named_parameters() if p.requires_grad]
    g = torch.Generator().manual_seed(33)
    data = [batch("seqcls", g, 4, 12, 7) for _ in range(s["total_step"])]
    t = {"batch." + k: torch.stack([b[k] for b in data]) for k in data[0]} | {"init." + n: p.detach().clone() for n, p in trainable}
    decays = lambda n: not n.endswith("bias") and not n.endswith("norm.weight")
    groups = [{"params": [p for n, p in trainable if decays(n) == on], "weight_decay": s["weight_decay"] if on else 0.0} for on in (True, False)]
    opt = torch.optim.AdamW(groups, lr=s["lr"], betas=tuple(s["adam_betas"]), eps=s["adam_eps"], foreach=False)
    warmup, total = s["lr_warmup"], s["total_step"]
    rates = torch.optim.lr_scheduler.LambdaLR(opt, lambda step: step / warmup if step < warmup else (total - step) / (total - warmup))
    allocator = loralib.RankAllocator(model, lora_r=s["r"], target_rank=s["target_rank"], init_warmup=s["init_warmup"],
                                      final_warmup=s["final_warmup"], mask_interval=s["mask_interval"], beta1=s["beta1"], beta2=s["beta2"])
    allocator.set_total_step(s["total_step"])
    steps = []
    for step, b in enumerate(data):
        loss, orth = outputs("seqcls", model, b)[0][""], loralib.compute_orth_regu(model, 1.0)
        (loss + s["orth_coef"] * orth).backward()
        norm, lr = torch.nn.utils.clip_grad_norm_(model.parameters(), s["max_grad_norm"]), opt.param_groups[0]["lr"]
        opt.step(), rates.step()
        budget, threshold = allocator.update_and_mask(model, step)
        steps.append(dict(step=step, task_loss=loss.item(), orth_loss=orth.item(), grad_norm=norm.item(), lr=lr, budget=budget, threshold=threshold))
        if threshold is not None:
            steps[-1]["kept"] = {n: "".join("01"[int(e != 0)] for e in model.get_submodule(n).lora_E.flatten()) for n in sorted(names)}
        opt.zero_grad()
    write(folder, t | {"final." + n: p for n, p in trainable}, dict(case=s, modules=sorted(names), steps=steps))


theta = lambda full, sliding: {"full_attention": {"rope_type": "default", "rope_theta": full},
                               "sliding_attention": {"rope_type": "default", "rope_theta": sliding}}
head = lambda name: name.startswith(("head.", "classifier."))
forward_case("07-modernbert-cls", "seqcls", 1, num_labels=3, norm_bias=True, attention_bias=True, mlp_bias=True, classifier_bias=True,
             rope_parameters=theta(160000.0, 1000.0), classifier_pooling="cls")
forward_case("07-modernbert-mean", "seqcls", 5, num_labels=2, classifier_pooling="mean", hidden_activation="silu",
             released=(("global_rope_theta", 80000.0), ("local_rope_theta", 500.0), ("global_attn_every_n_layers", 2)),
             states=False, gradients=lambda n: head(n) or ".1." in n or "embed" in n)
forward_case("07-modernbert-regression", "seqcls", 9, num_labels=1, num_hidden_layers=2, classifier_activation="silu", norm_eps=1e-3,
             layer_types=["sliding_attention", "full_attention"], states=False, gradients=lambda n: head(n) or ".1." in n)
forward_case("07-modernbert-span", "qa", 13, num_labels=2, num_hidden_layers=3, states=False,
             gradients=lambda n: head(n) or ".1." in n or "embed" in n)
if len(sys.argv) > 2:
    sys.path.insert(0, sys.argv[2])
    import loralib
    training_case("07-modernbert-adalora", loralib)
