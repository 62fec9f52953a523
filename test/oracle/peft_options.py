"""Makes an adapter in real PEFT with each option of its LoRA and AdaLoRA configurations, and the logits of the model with it.

  pip install torch transformers peft==0.21.2
  python peft_options.py OUT        (OUT: test/fixtures/peft-options)

Bases are tiny and random, in float32. Trained tensors are random too: biases and saved modules differ from the base's. Logits are
computed in float64 by the model that PEFT loads from the files it has saved.
"""
import json, os, shutil, sys
from pathlib import Path
import torch
from peft import AdaLoraConfig, LoraConfig, PeftModel, get_peft_model
from transformers import (BartConfig, BartForConditionalGeneration, DebertaV2Config, DebertaV2ForQuestionAnswering,
                          DebertaV2ForSequenceClassification)

torch.set_num_threads(1)
OUT = Path(sys.argv[1]).resolve()
DEBERTA = dict(vocab_size=40, hidden_size=12, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, max_position_embeddings=32,
               relative_attention=True, position_buckets=8, norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"],
               position_biased_input=False)
BART = dict(vocab_size=40, d_model=8, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2, decoder_attention_heads=2,
            encoder_ffn_dim=12, decoder_ffn_dim=12, max_position_embeddings=24, pad_token_id=1, bos_token_id=0, eos_token_id=2,
            decoder_start_token_id=2, forced_eos_token_id=2)
BASES = {
    "seqcls": (DebertaV2ForSequenceClassification, DebertaV2Config(**DEBERTA, num_labels=3), "SEQ_CLS"),
    "qa": (DebertaV2ForQuestionAnswering, DebertaV2Config(**DEBERTA), "QUESTION_ANS"),
    "bart": (BartForConditionalGeneration, BartConfig(**BART), "SEQ_2_SEQ_LM"),
}


def randomize(named, seed, scale):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in sorted(named):
            draw = torch.randn(p.shape, generator=g)
            p.copy_(1 + 0.2 * draw if "LayerNorm.weight" in name or "layer_norm.weight" in name else scale * draw)


def make_base(kind, seed):
    cls, config, _ = BASES[kind]
    torch.manual_seed(seed)
    model = cls(config)
    randomize(model.named_parameters(), seed, 0.3)
    model.save_pretrained(OUT / "bases" / kind)
    for extra in ("generation_config.json",):
        (OUT / "bases" / kind / extra).unlink(missing_ok=True)


def load_base(kind):
    return BASES[kind][0].from_pretrained(OUT / "bases" / kind)


def inputs(kind):
    g = torch.Generator().manual_seed(7)
    lengths = torch.tensor([9, 6, 4])
    mask = (torch.arange(9)[None] < lengths[:, None]).long()
    ids = torch.randint(3, 40, (3, 9), generator=g) * mask + (1 - mask) * (1 if kind == "bart" else 0)
    out = {"input_ids": ids, "attention_mask": mask}
    if kind == "bart":
        out["decoder_input_ids"] = torch.randint(3, 40, (3, 5), generator=g)
    return out


def logits(model, kind):
    with torch.no_grad():
        out = model.double().eval()(**inputs(kind))
    return torch.stack([out.start_logits, out.end_logits], -1) if kind == "qa" else out.logits


def mask_ranks(model, config):
    """The masks that AdaLoRA's allocator leaves at the end of training: ranks from 0 to init_r."""
    masks, g = {}, torch.Generator().manual_seed(3)
    for name, p in model.named_parameters():
        if ".lora_E" in name:
            keep = torch.rand(p.shape[0], generator=g) < len(masks) % 4 / 3
            masks[name.removeprefix("base_model.model.")] = keep.tolist()
            p.data[~keep] = 0
    config.rank_pattern = masks


def case(name, kind, config, safetensors=True, masked=False, subfolder=None, seed=50):
    folder = OUT / name
    config.task_type = BASES[kind][2]
    model = get_peft_model(load_base(kind), config)
    randomize([(n, p) for n, p in model.named_parameters() if p.requires_grad and "ranknum" not in n], seed + len(name), 0.25)
    if masked:
        mask_ranks(model, model.peft_config["default"])
    os.chdir(OUT)
    model.peft_config["default"].base_model_name_or_path = f"bases/{kind}"
    target = folder / subfolder if subfolder else folder
    model.save_pretrained(target, safe_serialization=safetensors)
    (target / "README.md").unlink(missing_ok=True)
    loaded = PeftModel.from_pretrained(load_base(kind), target)
    expected, unadapted = logits(loaded, kind), logits(load_base(kind), kind)
    assert (expected - unadapted).abs().max() > 0.01, name
    info = {"base": kind, "inputs": {k: v.tolist() for k, v in inputs(kind).items()}, "logits": expected.tolist()}
    (target / "expected.json").write_text(json.dumps(info) + "\n")


def adalora(**options):
    return AdaLoraConfig(**{**dict(init_r=3, target_r=1, tinit=2, tfinal=3, deltaT=2, total_step=20, lora_alpha=12), **options})


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for seed, kind in enumerate(BASES):
        make_base(kind, seed)
    attention = ["query_proj", "key_proj", "value_proj", "dense"]
    case("rank-regex", "seqcls", LoraConfig(
        r=2, lora_alpha=6, target_modules=attention,
        rank_pattern={r"layer\.\d+\.attention\.self\.(query|key)_proj": 3, r"(?!.*attention).*dense": 1, "dense": 4, "value.proj": 5},
        alpha_pattern={r"^deberta\.encoder\.layer\.0\..*": 9, r"[kq]\w+_proj|intermediate.dense": 20}))
    case("rslora-regex", "qa", LoraConfig(
        r=2, lora_alpha=6, use_rslora=True, target_modules=attention, rank_pattern={r".*\.1\.(?:.*)": 4}, alpha_pattern={r"\S{4,5}_proj": 3}))
    case("bias-lora-only", "seqcls", LoraConfig(r=2, target_modules=["query_proj", "intermediate.dense"], bias="lora_only"))
    case("bias-all", "seqcls", LoraConfig(r=2, target_modules=["value_proj", "output.dense"], bias="all"))
    case("bias-all-bart", "bart", LoraConfig(r=2, target_modules=["fc1", "v_proj"], bias="all"))
    case("modules-to-save", "seqcls", LoraConfig(
        r=2, target_modules=["query_proj"], modules_to_save=["word_embeddings", "layer.1.intermediate", "LayerNorm", "pooler"]))
    case("modules-to-save-bart", "bart", LoraConfig(
        r=2, target_modules=["q_proj"], modules_to_save=["decoder.layers.0.fc2", "encoder.layernorm_embedding"]))
    case("layers-to-transform", "seqcls", LoraConfig(r=2, target_modules=["query_proj", "dense"], layers_to_transform=[1]))
    case("layers-pattern", "bart", LoraConfig(r=2, target_modules=["k_proj", "fc1"], layers_to_transform=0, layers_pattern=["blocks", "layers"]))
    case("exclude-regex", "seqcls", LoraConfig(
        r=2, target_modules=r".*\.(query_proj|dense)", exclude_modules=r".*(pooler|layer\.0\.output).*"))
    case("exclude-list", "qa", adalora(target_modules=["dense", "key_proj"], exclude_modules=["attention.output.dense"]))
    case("all-linear", "seqcls", LoraConfig(r=1, target_modules="all-linear"))
    case("all-linear-bart", "bart", adalora(target_modules="all-linear"), masked=True)
    case("pickled", "qa", LoraConfig(r=2, target_modules=["query_proj"]), safetensors=False)
    case("adalora-masked", "seqcls", adalora(target_modules=["query_proj", "value_proj", "intermediate.dense"]), masked=True)
    case("adalora-bias", "seqcls", adalora(target_modules=["query_proj", "output.dense"], bias="lora_only"), masked=True)
    case("adalora-bias-all", "qa", adalora(target_modules=["query_proj", "output.dense"], bias="all"))
    case("orthogonal", "seqcls", LoraConfig(r=2, target_modules=["value_proj"], init_lora_weights="orthogonal"))
    case("several", "seqcls", LoraConfig(r=2, target_modules=["query_proj"]), subfolder="first")
    case("several", "seqcls", LoraConfig(r=3, target_modules=["value_proj"]), subfolder="more/second", seed=60)


main()
