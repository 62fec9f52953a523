"""Writes the golden cases of examples/plugins/eurobert.ts, in the format of test/golden/cases/README.md.

  pip install torch transformers safetensors
  python eurobert.py OUT

Computed in float64 by transformers' own classes with SDPA. Their roundings to float32 within a float64 model are undone: RMSNorm's, and that
of cos and sin; angles and inverse frequencies stay float32. Three poolings: the first token's, the mean, and "late", which averages logits.
"""
import json, shutil, sys
from pathlib import Path
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import EuroBertConfig, EuroBertForSequenceClassification
from transformers.models.eurobert import modeling_eurobert as modeling

torch.set_num_threads(1)
OUT = Path(sys.argv[1]).resolve()
TINY = dict(vocab_size=24, hidden_size=16, intermediate_size=12, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=2,
            max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2, mask_token_id=3)


def rms_norm(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def tables(self, x, position_ids):
    angles = position_ids[..., None].float() * self.inv_freq.float()
    angles = torch.cat((angles, angles), dim=-1).to(x.dtype)
    return angles.cos(), angles.sin()


modeling.EuroBertRMSNorm.forward = rms_norm
modeling.EuroBertRotaryEmbedding.forward = tables


def case(name, seed, **config):
    folder = OUT / name
    shutil.rmtree(folder, ignore_errors=True)
    model, g = EuroBertForSequenceClassification(EuroBertConfig(**{**TINY, **config})), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, p in sorted(model.named_parameters()):
            draw = torch.randn(p.shape, generator=g)
            p.copy_(1 + 0.2 * draw if "norm.weight" in key else (0.5 if "embed" in key else 0.3) * draw)
    model.save_pretrained(folder)
    model = EuroBertForSequenceClassification.from_pretrained(folder, attn_implementation="sdpa").double().eval()
    lengths = torch.tensor([13, 5, 9])
    mask = (torch.arange(13)[None] < lengths[:, None]).long()
    ids = torch.randint(4, TINY["vocab_size"], (3, 13), generator=g) * mask
    labels = torch.randn(3, generator=g, dtype=torch.float64) if model.num_labels == 1 else ids[:, 1] % model.num_labels
    out = model(input_ids=ids, attention_mask=mask)
    one = model.num_labels == 1
    loss = F.mse_loss(out.logits.flatten(), labels) if one else F.cross_entropy(out.logits, labels)
    loss.backward()
    tensors = {"input.input_ids": ids, "input.attention_mask": mask, "input.labels": labels, "out.logits": out.logits, "loss": loss}
    tensors |= {"grad." + key: p.grad for key, p in model.named_parameters() if not one or not key.startswith("model.")}
    save_file({key: v.detach().clone().contiguous() for key, v in tensors.items()}, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps({"kind": "seqcls"}) + "\n")


case("bos", 1, num_labels=3, classifier_pooling="bos", attention_bias=True, mlp_bias=True, rope_parameters={"rope_type": "default", "rope_theta": 5000.0})
case("late", 2, num_labels=2, classifier_pooling="late", num_hidden_layers=1)
case("regression", 3, num_labels=1, classifier_pooling="mean", num_hidden_layers=1)
