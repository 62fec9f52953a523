"""Writes test/fixtures/encoders/FAMILY.json and .safetensors: BERT, RoBERTa and DistilBERT as transformers computes them, in float64.

  pip install torch transformers safetensors
  python encoder-families.py OUT_FOLDER

Each file holds tiny models of one family: classification, regression and span with logits, hidden states, loss and all gradients. The loss
of `span` counts padded positions, as transformers' own does; that of `span-unpadded` leaves them out. Weights are waves of their name, so
that no file has to hold them.
"""
import json, math, pathlib, sys
import torch
from safetensors.torch import save_file
import transformers as hf

SIZES = dict(hidden_size=12, num_hidden_layers=2, num_attention_heads=3, intermediate_size=10, hidden_act="gelu")
NO_DROPOUT = dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
COMMON = dict(vocab_size=24, max_position_embeddings=18, initializer_range=0.02)
FAMILIES = {
    "bert": dict(cls="Bert", config=dict(COMMON, **SIZES, **NO_DROPOUT, type_vocab_size=2, layer_norm_eps=1e-12, pad_token_id=0)),
    "roberta": dict(cls="Roberta", config=dict(COMMON, **SIZES, **NO_DROPOUT, type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1)),
    "distilbert": dict(cls="DistilBert", config=dict(
        COMMON, dim=12, n_layers=2, n_heads=3, hidden_dim=10, activation="relu", dropout=0.0, attention_dropout=0.0, qa_dropout=0.0,
        seq_classif_dropout=0.0, pad_token_id=0)),
}
LENGTHS = [9, 13, 1, 4]
STARTS, ENDS = [2, 12, 0, 30], [5, 12, 0, 3]
LABELS, TARGETS = [2, 0, 1, 1], [0.5, -1.25, 3.0, 0.0]


def weight(name, shape):
    """0.35 sin(1.7 i + the sum of the name's character codes), for a LayerNorm's weight around 1."""
    n = math.prod(shape)
    phase = sum(map(ord, name))
    values = [0.35 * math.sin(1.7 * i + phase) for i in range(n)]
    if name.lower().replace("_", "").endswith("layernorm.weight"):
        values = [1 + v for v in values]
    return torch.tensor(values, dtype=torch.float64).float().reshape(shape)


def ids_of(length):
    return [2 + (7 * i * i + 3 * i + length) % 19 for i in range(length)]


def inputs_of(config):
    width = max(LENGTHS)
    pad = lambda row, value: row + [value] * (width - len(row))
    batch = dict(
        input_ids=torch.tensor([pad(ids_of(n), config.pad_token_id) for n in LENGTHS]),
        attention_mask=torch.tensor([pad([1] * n, 0) for n in LENGTHS]))
    if getattr(config, "type_vocab_size", 1) > 1:
        batch["token_type_ids"] = torch.tensor([pad([int(i >= 3) for i in range(n)], 0) for n in LENGTHS])
    return batch


def build(family, head, **extra):
    config = getattr(hf, family["cls"] + "Config")(**family["config"], **extra)
    config._attn_implementation = "eager"
    model = getattr(hf, f"{family['cls']}For{head}")(config).double().eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weight(name, parameter.shape).double())
    return model, config


def unpadded_span_loss(out, mask):
    hidden = torch.finfo(torch.float64).min
    of = lambda logits, at: torch.nn.functional.cross_entropy(
        logits.masked_fill(mask == 0, hidden), torch.tensor(at), reduction="none", ignore_index=mask.shape[1])
    kept = [n if n < mask.shape[1] else mask.shape[1] for n in STARTS]
    count = sum(n < mask.shape[1] for n in kept)
    return (of(out.start_logits, kept).sum() / count + of(out.end_logits, ENDS).mean()) / 2


def cases(family):
    classes = dict(num_labels=3)
    yield "classification", *build(family, "SequenceClassification", **classes), dict(labels=torch.tensor(LABELS))
    yield "regression", *build(family, "SequenceClassification", num_labels=1), dict(labels=torch.tensor(TARGETS, dtype=torch.float64))
    span = dict(start_positions=torch.tensor(STARTS), end_positions=torch.tensor(ENDS))
    yield "span", *build(family, "QuestionAnswering"), span
    yield "span-unpadded", *build(family, "QuestionAnswering"), {}


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, family in FAMILIES.items():
        tensors, keys = {}, {}
        for case, model, config, labels in cases(family):
            batch = inputs_of(config)
            out = model(**batch, **labels, output_hidden_states=True)
            loss = out.loss if out.loss is not None else unpadded_span_loss(out, batch["attention_mask"])
            loss.backward()
            rows = batch["attention_mask"].bool()
            logits = out.logits if "logits" in out else torch.stack([out.start_logits, out.end_logits], -1)[rows]
            found = {"logits": logits, "loss": loss.reshape(1)}
            if case == "classification":
                found |= {f"hidden.{i}": each[rows] for i, each in enumerate(out.hidden_states)}
            for parameter, value in model.named_parameters():
                if value.grad is not None:
                    found[f"grad.{parameter}"] = value.grad
            tensors |= {f"{case}.{key}": value.detach().contiguous().clone() for key, value in found.items()}
            keys[case] = {key: list(value.shape) for key, value in model.named_parameters()}
        config = dict(family["config"], model_type=name)
        document = dict(config=config, lengths=LENGTHS, labels=LABELS, targets=TARGETS, starts=STARTS, ends=ENDS, keys=keys)
        (folder / f"{name}.json").write_text(json.dumps(document) + "\n")
        save_file(tensors, folder / f"{name}.safetensors")


main(pathlib.Path(sys.argv[1]))
