"""Exports adapters made by real PEFT, and compares every export's logits in real PEFT and transformers with the adapter's own.

  pip install torch transformers peft
  python exports_in_peft.py PROJECT OUT [--float64] [MODEL…]

DeBERTa for 3 classes, for regression and for questions, and BART; each as AdaLoRA with mixed ranks (one module at 0), with all
modules at 0 and with all full, and as LoRA. Exports: peft, peft --canonical, lora, lora --uniform, lora --canonical, merged, and
loralib (by its own formula). Prints the largest difference of each; exits 1 above 1e-5 times the largest logit or 1.

With --float64 the adapters, LoRA exports and merged models run in float64 on both sides, by PEFT or transformers and by this
program's reference backend, from the same files; the limit is then 1e-12.
"""
import json, shutil, subprocess, sys
from pathlib import Path
import torch
import transformers
from peft import AdaLoraConfig, LoraConfig, PeftModel, get_peft_model
from transformers import (AutoModelForQuestionAnswering, AutoModelForSeq2SeqLM, AutoModelForSequenceClassification, BartConfig,
                          BartForConditionalGeneration, DebertaV2Config, DebertaV2Model)

transformers.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()
IN_FLOAT64 = "--float64" in sys.argv
words = [word for word in sys.argv[1:] if word != "--float64"]
project, out = map(Path, words[:2])
DTYPE = torch.float64 if IN_FLOAT64 else torch.float32
INIT_RANK, ALPHA = 4, 7

DEBERTA = dict(vocab_size=300, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, max_position_embeddings=64,
               relative_attention=True, position_buckets=16, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
               position_biased_input=False, type_vocab_size=0, layer_norm_eps=1e-7, initializer_range=0.2)
BART = dict(vocab_size=300, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
            encoder_ffn_dim=48, decoder_ffn_dim=48, max_position_embeddings=64, init_std=0.2)
MODELS = {
    "classification": (AutoModelForSequenceClassification, "SEQ_CLS", {"num_labels": 3}, ["pooler", "classifier"]),
    "regression": (AutoModelForSequenceClassification, "SEQ_CLS", {"num_labels": 1}, ["pooler", "classifier"]),
    "questions": (AutoModelForQuestionAnswering, "QUESTION_ANS", {}, ["qa_outputs"]),
    "bart": (AutoModelForSeq2SeqLM, "SEQ_2_SEQ_LM", {}, None),
}
EXPORTS = ["peft", "lora", "merged"] if IN_FLOAT64 else ["peft", "peft --canonical", "lora", "lora --uniform", "lora --canonical", "loralib", "merged"]
IDS = torch.tensor([[1, 17, 5, 233, 90, 2], [1, 8, 299, 60, 2, 7]])
DECODED = torch.cat([torch.full((2, 1), 2), IDS[:, :2]], 1)  # what predicts the first three ids, after BART's start token
INPUTS = {"input_ids": IDS, "attention_mask": torch.ones_like(IDS)}


def save_base(kind, folder):
    torch.manual_seed(3)
    if kind == "bart":
        BartForConditionalGeneration(BartConfig(**BART)).save_pretrained(folder)
    else:
        DebertaV2Model(DebertaV2Config(**DEBERTA)).save_pretrained(folder)


def logits(model, kind):
    model = model.to(DTYPE).eval()
    with torch.no_grad():
        got = model(**INPUTS, **({"decoder_input_ids": DECODED} if kind == "bart" else {}))
    if kind == "questions":
        return torch.stack([got.start_logits, got.end_logits], -1)
    return got.logits


def own_logits(kind, base, exported):
    """The same by the project's reference backend, which computes in float64."""
    task, labels = {"classification": ("classification", 3), "regression": ("regression", 1), "questions": ("span", 2), "bart": ("generation", 0)}[kind]
    adapter = None if (exported / "config.json").exists() else str(exported)
    case = {"task": task, "labels": labels, "base": str(base if adapter else exported), "adapter": adapter, "ids": IDS.tolist()}
    cases = out / "cases.json"
    cases.write_text(json.dumps([case]))
    done = subprocess.run([project / "node_modules/.bin/bun", project / "test/oracle/export-logits.ts", cases], capture_output=True, text=True, check=True)
    return torch.tensor(json.loads(done.stdout)[0], dtype=torch.float64)


def load_base(kind, base):
    auto, _, options, _ = MODELS[kind]
    return auto.from_pretrained(base, **options)


def make_adapter(kind, ranks, base, folder):
    """An adapter with random values; `ranks` says how many triplets module i keeps, or is None for LoRA."""
    _, task, _, heads = MODELS[kind]
    targets = ["q_proj", "v_proj", "fc1"] if kind == "bart" else ["query_proj", "value_proj", "intermediate.dense"]
    common = dict(task_type=task, target_modules=targets, lora_alpha=ALPHA, modules_to_save=heads, lora_dropout=0.0)
    if ranks is None:
        config = LoraConfig(r=INIT_RANK, rank_pattern={targets[0]: 2}, alpha_pattern={targets[1]: 3}, **common)
    else:
        config = AdaLoraConfig(init_r=INIT_RANK, target_r=2, total_step=10, tinit=1, tfinal=1, **common)
    torch.manual_seed(5)
    model = get_peft_model(load_base(kind, base), config)
    masks = {}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".lora_" in name or ".modules_to_save." in name:
                parameter.copy_(torch.randn(parameter.shape) * (0.2 if parameter.dim() > 1 else 0.05))
        for name, parameter in model.named_parameters():
            if ".lora_E" not in name:
                continue
            kept = [i < ranks(len(masks)) for i in range(INIT_RANK)][::-1]
            parameter.mul_(torch.tensor(kept).float()[:, None])
            masks[name.replace("base_model.model.", "")] = kept
    if masks:
        model.peft_config["default"].rank_pattern = masks
    expected = logits(model, kind)
    model.save_pretrained(folder)
    return expected


def of_loralib(kind, base, exported, adapter):
    """The authors' forward: W + (B @ (A * E)) * alpha / (ranknum + 1e-5); LoRA's scale is alpha / r, which is not in the state."""
    model = load_base(kind, base)
    state = torch.load(exported / "loralib.pt", weights_only=True)
    own = model.state_dict()
    for name, value in state.items():
        if not name.endswith(".lora_A"):
            if name in own:
                own[name].copy_(value)
            continue
        path = name.removesuffix(".lora_A")
        increment = state[f"{path}.lora_B"] @ (value * state[f"{path}.lora_E"])
        own[f"{path}.weight"].add_(increment * ALPHA / (state[f"{path}.ranknum"] + 1e-5))
    return logits(model, kind)


def load_export(kind, how, base, exported, adapter):
    if how == "loralib":
        return of_loralib(kind, base, exported, adapter)
    if how == "merged":
        auto, _, _, _ = MODELS[kind]
        model, info = auto.from_pretrained(exported, output_loading_info=True)
        problems = {key: found for key, found in info.items() if found}
        assert not problems, problems
        if kind == "classification":
            assert model.config.num_labels == 3, model.config
        return logits(model, kind)
    return logits(PeftModel.from_pretrained(load_base(kind, base), exported), kind)


RANKS = {"mixed": lambda i: i % (INIT_RANK + 1), "all at 0": lambda i: 0, "all full": lambda i: INIT_RANK, "lora": None}
failed = 0
for kind in words[2:] or MODELS:
    base = out / kind / "base"
    shutil.rmtree(out / kind, ignore_errors=True)
    save_base(kind, base)
    for ranks_name, ranks in RANKS.items():
        adapter = out / kind / ranks_name.replace(" ", "-")
        expected = make_adapter(kind, ranks, base, adapter)
        for how in EXPORTS:
            if how == "loralib" and ranks is None:
                continue
            exported = out / kind / f"{adapter.name}-{how.replace(' ', '')}"
            command = ["./adalora", "export", adapter, "--to", *how.split(), "-o", exported, "--model", base, "--json"]
            done = subprocess.run([str(word) for word in command], cwd=project, capture_output=True, text=True)
            if done.returncode:
                print(f"FAIL {kind}, {ranks_name}, {how}: {done.stderr.strip()[-300:]}")
                failed += 1
                continue
            got = load_export(kind, how, base, exported, adapter)
            if IN_FLOAT64:
                worst = (got.flatten() - own_logits(kind, base, exported)).abs().max().item()
                limit = 1e-12 * max(1.0, got.abs().max().item())
                failed += not worst <= limit
                print(f"{'ok  ' if worst <= limit else 'FAIL'} {kind}, {ranks_name}, {how}: {worst:.1e} in float64, limit {limit:.1e}")
                continue
            worst = (got - expected).abs().max().item()
            limit = 1e-5 * max(1.0, expected.abs().max().item())
            own = json.loads(done.stdout)["difference"]["logits"]
            failed += not worst <= limit
            verdict = "ok  " if worst <= limit else "FAIL"
            print(f"{verdict} {kind}, {ranks_name}, {how}: {worst:.1e} in PEFT, {own if own is None else f'{own:.1e}'} here, limit {limit:.1e}")
sys.exit(1 if failed else 0)
