"""Writes test/golden/grids/deberta.json: logits by real transformers for a grid of tiny DeBERTa configurations.

  pip install torch transformers
  python deberta_grid.py OUT.json

Each case holds what differs from `base` in config.json, the keys and shapes of the checkpoint (an index into `keySets`), and the logits of
three sequences in float64. A case whose model transformers cannot build or run holds `refused` instead. Weights are waves of their name
(see `weight`), so that no file has to hold them. Offsets beyond int64's range are x86's: NaN and infinities become the smallest integer.
"""
import itertools, json, math, sys
import torch
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification

BASE = dict(
    model_type="deberta-v2", vocab_size=20, hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=10,
    hidden_act="gelu", hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, max_position_embeddings=48, type_vocab_size=0,
    initializer_range=0.02, layer_norm_eps=1e-7, relative_attention=True, max_relative_positions=-1, position_buckets=8,
    norm_rel_ebd="layer_norm", share_att_key=True, pos_att_type=["p2c", "c2p"], position_biased_input=False, pooler_dropout=0,
    pooler_hidden_act="gelu")
LENGTHS = [40, 7, 1]


def weight(name, shape):
    """0.35 sin(1.7 i + the sum of the name's character codes), for a LayerNorm's weight around 1."""
    n = math.prod(shape)
    phase = sum(map(ord, name))
    values = [0.35 * math.sin(1.7 * i + phase) for i in range(n)]
    if "LayerNorm" in name and name.endswith("weight"):
        values = [1 + v for v in values]
    return torch.tensor(values, dtype=torch.float64).float().reshape(shape)


def ids_of(length):
    return [1 + (7 * i * i + 3 * i + length) % 19 for i in range(length)]


def grid():
    buckets = [-1, 0, 1, 2, 3, 4, 5, 8, 9, 16, 32, 64, 100]
    for b, m in itertools.product(buckets, [-1, 0, 1, 2, 3, 4, 5, 9, 17, 33, 64]):
        yield dict(position_buckets=b, max_relative_positions=m)
    for b, p in itertools.product([-1, 2, 8, 32], [2, 4, 9, 17]):
        yield dict(position_buckets=b, max_position_embeddings=p)
    for i, (relative, norm, types, share, biased) in enumerate(itertools.product(
            [True, False], ["layer_norm", "none"], [["c2p", "p2c"], ["c2p"], ["p2c"], [], None], [True, False], [True, False])):
        yield dict(relative_attention=relative, norm_rel_ebd=norm, pos_att_type=types, share_att_key=share, position_biased_input=biased,
                   type_vocab_size=[0, 2, 3][i % 3], conv_kernel_size=[0, 3][i // 2 % 2], num_hidden_layers=1 + i % 2)
    for text in ["c2p|p2c", "p2c | c2p", "C2P|P2C", "c2p"]:
        yield dict(pos_att_type=text)
    for types in [["c2p", "c2p"], ["p2c", "c2p", "p2c"]]:
        yield dict(pos_att_type=types)
    for norm in ["LAYER_NORM", "layer_norm | none", "none"]:
        yield dict(norm_rel_ebd=norm)
    for hidden, heads in [(12, 1), (12, 3), (12, 4), (12, 6), (12, 12), (15, 3), (15, 5), (15, 15), (9, 1), (33, 3), (34, 2)]:
        yield dict(hidden_size=hidden, num_attention_heads=heads)
    for kernel, act in [(1, "tanh"), (3, "gelu"), (5, "relu"), (-1, "tanh")]:
        yield dict(conv_kernel_size=kernel, conv_act=act, num_hidden_layers=2)
    yield dict(embedding_size=5)
    yield dict(embedding_size=17, position_biased_input=True, type_vocab_size=2)
    yield dict(intermediate_size=7, hidden_act="relu", pooler_hidden_act="tanh")
    yield dict(hidden_act="gelu_new", layer_norm_eps=1e-3)


def logits_of(config):
    model = DebertaV2ForSequenceClassification(DebertaV2Config(**{k: v for k, v in config.items() if k != "model_type"}))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(weight(name, parameter.shape))
    model.double().eval()
    limit = config["max_position_embeddings"] if config["position_biased_input"] else math.inf
    out = []
    for length in LENGTHS:
        ids = torch.tensor([ids_of(min(length, limit))])
        types = (torch.arange(ids.shape[1]) >= 3).long()[None] if config["type_vocab_size"] > 1 else torch.zeros_like(ids)
        with torch.no_grad():
            out.append(model(input_ids=ids, token_type_ids=types).logits[0].tolist())
    if not all(math.isfinite(x) for row in out for x in row):
        raise ValueError("logits are not finite")
    return {n: list(p.shape) for n, p in model.state_dict().items()}, out


cases, key_sets = [], []
for overrides in grid():
    case = {"config": overrides}
    try:
        keys, case["logits"] = logits_of({**BASE, **overrides})
        if keys not in key_sets:
            key_sets.append(keys)
        case["keys"] = key_sets.index(keys)
    except Exception as error:
        case["refused"] = f"{type(error).__name__}: {error}"
    cases.append(case)
with open(sys.argv[1], "w") as out:
    lines = ",\n".join(json.dumps(case) for case in cases)
    sets = ",\n".join(json.dumps(keys) for keys in key_sets)
    out.write(f'{{"base": {json.dumps(BASE)},\n"lengths": {json.dumps(LENGTHS)},\n"keySets": [\n{sets}\n],\n"cases": [\n{lines}\n]}}\n')
print(len(cases), "cases,", sum("refused" in c for c in cases), "refused,", len(key_sets), "sets of keys")
