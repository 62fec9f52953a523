"""PEFT trains adapters, and continues each from its files with a fresh optimizer: the losses that `--from` must give.

  pip install torch transformers peft==0.21.2
  python peft_continued.py PROJECT        (run in any folder; writes PROJECT/test/fixtures/peft-continued)

The batches of the second half are those of the project's own run (test/oracle/run-batches.ts). All is computed in float64 on a base of
float32, so that PEFT does not train `ranknum`. AdaLoRA's schedule begins anew, as does the allocator, whose budget is what is left.
"""
import json, os, shutil, subprocess, sys
from pathlib import Path
import torch
from peft import AdaLoraConfig, LoraConfig, PeftConfig, PeftModel, get_peft_model
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

torch.set_num_threads(1)
PROJECT = Path(sys.argv[1]).resolve()
OUT = PROJECT / "test/fixtures/peft-continued"
S = dict(steps=14, lr=0.01, warmup=3, weight_decay=0.01, max_grad_norm=0.5, init_warmup=2, final_warmup=4, mask_interval=2)
TARGETS = ["query_proj", "value_proj", "intermediate.dense", "output.dense"]


def make_base():
    config = DebertaV2Config(
        vocab_size=512, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0, pooler_dropout=0.0, max_position_embeddings=64, relative_attention=True, position_buckets=8,
        norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0,
        layer_norm_eps=1e-7, num_labels=2)
    model, g = DebertaV2ForSequenceClassification(config), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            p.copy_(1 + 0.2 * draw if "LayerNorm.weight" in name else 0.3 * draw)
    model.save_pretrained(OUT / "base")
    shutil.copy(PROJECT / "test/fixtures/text/tiny/spm.model", OUT / "base/spm.model")


def make_data():
    (OUT / "data").mkdir()
    for split, count in (("train", 26), ("dev", 4)):
        rows = ["index\tsentence1\tsentence2\tlabel"]
        for i in range(count):
            one = ["the cat looked at the moon", "the cat saw a moon", "a cat", "the moon saw the cat"][i % 4]
            rows.append(f"{i}\t{one}\tthe {'cat' if i % 2 == 0 else 'moon'} looked\t{'entailment' if i % 3 else 'not_entailment'}")
        (OUT / f"data/{split}.tsv").write_text("\n".join(rows) + "\n")


def base():
    return DebertaV2ForSequenceClassification.from_pretrained(OUT / "base")


def train(model, batches, adalora):
    """Trains in float64; returns the losses, of which each has the orthogonality loss in it."""
    torch.Tensor.float = torch.Tensor.double  # transformers rounds the logits to float32 before the loss
    model = model.double().train()
    trainable = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    decay = lambda name: not name.endswith("bias") and "LayerNorm" not in name
    groups = [{"params": [p for n, p in trainable if decay(n) == on], "weight_decay": S["weight_decay"] if on else 0.0} for on in (True, False)]
    opt = torch.optim.AdamW(groups, lr=S["lr"], foreach=False)
    rate = lambda t: t / S["warmup"] if t < S["warmup"] else (S["steps"] - t) / (S["steps"] - S["warmup"])
    rates, losses = torch.optim.lr_scheduler.LambdaLR(opt, rate), []
    for step, b in enumerate(batches):
        width = max(map(len, b["ids"]))
        ids = torch.tensor([row + [0] * (width - len(row)) for row in b["ids"]])
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in b["ids"]])
        loss = model(input_ids=ids, attention_mask=mask, labels=torch.tensor(b["labels"])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for _, p in trainable], S["max_grad_norm"])
        opt.step(), rates.step()
        if adalora:
            model.base_model.update_and_allocate(step)
        opt.zero_grad()
        losses.append(loss.item())
    return losses


def first_half(name, config, masked):
    """Random trained values stand for the first half's end; `masked`: AdaLoRA's pruning has happened, one module is at rank 0."""
    config.task_type = "SEQ_CLS"
    model, g = get_peft_model(base(), config), torch.Generator().manual_seed(len(name))
    with torch.no_grad():
        for n, p in sorted(model.named_parameters()):
            if p.requires_grad and "ranknum" not in n:
                draw = torch.randn(p.shape, generator=g)
                p.copy_(1 + 0.2 * draw if "LayerNorm.weight" in n else 0.2 * draw)
        if masked:
            pattern = {}
            for n, p in model.named_parameters():
                if ".lora_E" in n:
                    keep = torch.tensor([(len(pattern) * 7 + t * 5) % 4 < len(pattern) % 4 for t in range(p.shape[0])])
                    pattern[n.removeprefix("base_model.model.")] = keep.tolist()
                    p[~keep] = 0
            model.peft_config["default"].rank_pattern = pattern
    os.chdir(OUT)
    model.peft_config["default"].base_model_name_or_path = "base"
    model.save_pretrained(OUT / name)
    (OUT / name / "README.md").unlink(missing_ok=True)


def second_half(name, target_total):
    done = subprocess.run([str(PROJECT / "node_modules/.bin/bun"), str(PROJECT / "test/oracle/run-batches.ts"), name],
                          capture_output=True, text=True, check=True)
    batches = json.loads(done.stdout)
    config = PeftConfig.from_pretrained(OUT / name)
    adalora = config.peft_type == "ADALORA"
    if adalora:
        config.total_step, config.tinit, config.tfinal, config.deltaT = S["steps"], S["init_warmup"], S["final_warmup"], S["mask_interval"]
    config.inference_mode = False
    model = PeftModel.from_pretrained(base(), OUT / name, config=config, is_trainable=True)
    if adalora:
        allocator = model.base_model.rankallocator
        allocator._set_budget_scheduler(model.base_model.model)
        allocator.target_bgt = target_total
    losses = train(model, batches, adalora)
    result = {"losses": losses}
    if adalora:
        masks = model.peft_config["default"].rank_pattern
        result["ranks"] = {k.replace(".default", ""): sum(v) for k, v in sorted(masks.items())}
    return result


def adalora(**more):
    return AdaLoraConfig(init_r=3, target_r=1, tinit=2, tfinal=3, deltaT=1, total_step=20, lora_alpha=12, orth_reg_weight=0.3,
                         target_modules=TARGETS, **more)


shutil.rmtree(OUT, ignore_errors=True)
OUT.mkdir()
make_base()
make_data()
first_half("lora", LoraConfig(r=3, lora_alpha=8, target_modules=TARGETS, modules_to_save=["pooler"]), False)
first_half("lora-whole", LoraConfig(
    r=2, lora_alpha=8, use_rslora=True, target_modules=TARGETS, rank_pattern={r".*\.1\..*": 3}, bias="lora_only",
    modules_to_save=["LayerNorm", "word_embeddings"]), False)
first_half("adalora", adalora(modules_to_save=["pooler"]), False)
first_half("adalora-masked", adalora(), True)
expected = {name: second_half(name, total) for name, total in
            (("lora", None), ("lora-whole", None), ("adalora", 12), ("adalora-masked", 5))}
(OUT / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
for name, result in expected.items():
    print(name, [round(loss, 4) for loss in result["losses"]], sorted((result.get("ranks") or {}).values()))
