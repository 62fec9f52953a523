"""Writes test/fixtures/encoders/eurobert*.json and .safetensors: EuroBERT as transformers computes it, in float64.

  pip install torch transformers safetensors
  python eurobert.py OUT_FOLDER

In the format of encoder-families.py: classification, and regression of one model, with logits, hidden states, loss and all gradients, for
each pooling: the first token, the mean, and "late", which averages logits. transformers' roundings to float32 within a float64 model are undone:
RMSNorm's, and that of cos and sin; angles and inverse frequencies stay float32. SDPA keeps the softmax in float64.
"""
import json, math, pathlib, sys
import torch
from safetensors.torch import save_file
from transformers import EuroBertConfig, EuroBertForSequenceClassification
from transformers.models.eurobert import modeling_eurobert as modeling

TINY = dict(vocab_size=24, hidden_size=16, intermediate_size=10, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, mask_token_id=3)
MODELS = {
    "eurobert": dict(num_hidden_layers=2, attention_bias=True, mlp_bias=True, classifier_pooling="bos",
                     rope_parameters=dict(rope_type="default", rope_theta=50.0)),
    "eurobert-late": dict(num_hidden_layers=1, classifier_pooling="late"),
    "eurobert-mean": dict(num_hidden_layers=1, classifier_pooling="mean", num_key_value_heads=1),
}
LENGTHS = [9, 13, 1, 4]
LABELS, TARGETS = [2, 0, 1, 1], [0.5, -1.25, 3.0, 0.0]


def rms_norm(self, x):
    return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.variance_epsilon))


def tables(self, x, position_ids):
    angles = position_ids[..., None].float() * self.inv_freq.float()
    angles = torch.cat((angles, angles), dim=-1).to(x.dtype)
    return angles.cos(), angles.sin()


modeling.EuroBertRMSNorm.forward = rms_norm
modeling.EuroBertRotaryEmbedding.forward = tables


def weight(name, shape):
    """0.35 sin(1.7 i + the sum of the name's character codes), for a layernorm's weight around 1."""
    n, phase = math.prod(shape), sum(map(ord, name))
    values = [0.35 * math.sin(1.7 * i + phase) for i in range(n)]
    if name.lower().replace("_", "").endswith("layernorm.weight"):
        values = [1 + v for v in values]
    return torch.tensor(values, dtype=torch.float64).float().reshape(shape)


def ids_of(length):
    return [2 + (7 * i * i + 3 * i + length) % 19 for i in range(length)]


def computed(settings, labels, count):
    config = EuroBertConfig(**{**TINY, **settings}, num_labels=count)
    config._attn_implementation = "sdpa"
    model = EuroBertForSequenceClassification(config).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weight(name, parameter.shape).double())
    width = max(LENGTHS)
    mask = torch.tensor([[1] * n + [0] * (width - n) for n in LENGTHS])
    ids = torch.tensor([ids_of(n) + [0] * (width - n) for n in LENGTHS])
    hidden = []
    for module in [model.model.embed_tokens, *model.model.layers]:
        module.register_forward_hook(lambda _module, _inputs, out: hidden.append(out if torch.is_tensor(out) else out[0]))
    out = model(input_ids=ids, attention_mask=mask, labels=labels)
    out.loss.backward()
    found = {"logits": out.logits, "loss": out.loss.reshape(1)}
    if count > 1:
        found |= {f"hidden.{i}": each[mask.bool()] for i, each in enumerate(hidden)}
    found |= {f"grad.{name}": parameter.grad for name, parameter in model.named_parameters()}
    return found, {name: list(parameter.shape) for name, parameter in model.named_parameters()}


def main(folder):
    for name, settings in MODELS.items():
        cases = {"classification": (torch.tensor(LABELS), 3), "regression": (torch.tensor(TARGETS, dtype=torch.float64), 1)}
        tensors, keys = {}, {}
        if settings["classifier_pooling"] != "bos":
            del cases["regression"]
        for case, (labels, count) in cases.items():
            found, keys[case] = computed(settings, labels, count)
            tensors |= {f"{case}.{key}": value.detach().contiguous().clone() for key, value in found.items()}
        config = dict(TINY, **settings, model_type="eurobert")
        document = dict(config=config, lengths=LENGTHS, labels=LABELS, targets=TARGETS, starts=[], ends=[], keys=keys)
        (folder / f"{name}.json").write_text(json.dumps(document) + "\n")
        save_file(tensors, folder / f"{name}.safetensors")


main(pathlib.Path(sys.argv[1]))
