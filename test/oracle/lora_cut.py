"""Cuts a LoRA by singular values with numpy alone: test/cli/compare/lora-cut.golden.json.

  pip install numpy==2.4.6
  python test/oracle/lora_cut.py test/cli/compare/lora-cut.golden.json

The singular values of all increments (alpha / rank) B A compete; the largest stay whose rows of A and columns of B fit the budget: the
first that doesn't fit, and all after it, are cut. Written without reference to adalora's code: multiply, decompose, sort, add up.
"""
import json, sys
import numpy as np

RANK = 3
SHAPES = [(4, 5, 6), (6, 3, 3), (5, 8, 1.5)]  # inputs, outputs, alpha
BUDGETS = [110, 60, 37, 9, 8]

random = np.random.default_rng(4)
layers = []
for i, (inputs, outputs, alpha) in enumerate(SHAPES):
    a, b = (np.round(random.normal(size=shape), 3) for shape in ((RANK, inputs), (outputs, RANK)))
    layers.append(dict(path=f"layer.{i}", inputs=inputs, outputs=outputs, alpha=alpha, a=a, b=b))

parts = []
for i, layer in enumerate(layers):
    u, s, v = np.linalg.svd(layer["alpha"] / RANK * layer["b"] @ layer["a"])
    parts += [(s[k], i, np.outer(u[:, k] * s[k], v[k])) for k in range(RANK)]
parts.sort(key=lambda part: -part[0])


def cut(budget):
    costs = np.cumsum([sum(part[2].shape) for part in parts])
    kept = parts[: int((costs <= budget).sum())]
    sums = [sum((p for _, i, p in kept if i == layer), np.zeros((o, n))) for layer, (n, o, _) in enumerate(SHAPES)]
    return dict(budget=budget, ranks=[sum(i == layer for _, i, _ in kept) for layer in range(len(SHAPES))],
                increments=[np.round(dense, 9).reshape(-1).tolist() for dense in sums])


plain = [{name: value.reshape(-1).tolist() if name in "ab" else value for name, value in layer.items()} for layer in layers]
with open(sys.argv[1], "w") as file:
    json.dump(dict(rank=RANK, layers=plain, cuts=[cut(budget) for budget in BUDGETS]), file)
    file.write("\n")
