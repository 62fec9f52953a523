"""Prunes by cost with numpy alone: test/core/adalora/allocators/by-cost.golden.json.

  pip install numpy==2.4.6
  python test/oracle/budget_by_cost.py test/core/adalora/allocators/by-cost.golden.json

A budget of parameters falls as a budget of ranks does (Zhang et al. 2023, eq. 14, in the authors' variant). At each step the triplets
with the highest scores stay whose parameters add up to at most the budget: the first that doesn't fit, and all after it, are pruned.
Written without reference to adalora's code: sort, add up, cut.
"""
import json, sys
import numpy as np


def budget_at(t, initial, target, warmup, final, steps):
    if t <= warmup:
        return initial
    if t > steps - final:
        return target
    return int(target + (initial - target) * (1 - (t - warmup) / (steps - final - warmup)) ** 3)


def keep(scores, costs, budget):
    order = np.argsort(-scores, kind="stable")
    fits = np.cumsum(costs[order]) <= budget
    kept = np.zeros(len(scores), dtype=int)
    kept[order[fits]] = 1  # costs are positive: once the sum exceeds the budget it never fits again
    return kept


def uniform(ranks, costs, budget):
    """The largest number of triplets, spread evenly over the matrices, that fits: shares in proportion to ranks."""
    ends, best = np.cumsum(ranks), np.zeros(len(ranks), dtype=int)
    for total in range(int(ends[-1]) + 1):
        shares = np.diff(np.floor(ends * total / ends[-1]).astype(int), prepend=0)
        if (shares * costs).sum() <= budget:
            best = shares
    return best


def case(name, shapes, rank, target, seed, e=1):
    rng = np.random.default_rng(seed)
    matrix_costs = np.array([i + o + e for i, o in shapes])
    costs = np.repeat(matrix_costs, rank)
    schedule = dict(initial=int(costs.sum()), target=target, warmup=3, final=8, steps=24)
    # exact in float32, all different
    scores = (rng.permutation(len(costs)) + 1) / 4096
    rows = []
    for t in range(24):
        budget = budget_at(t, **schedule)
        kept = keep(scores, costs, budget)
        rows.append(dict(budget=budget, kept="".join(map(str, kept)), cost=int((kept * costs).sum()),
                         uniform=[int(x) for x in uniform(np.full(len(shapes), rank), matrix_costs, budget)]))
    return dict(name=name, matrixCosts=[int(c) for c in matrix_costs], rank=rank, schedule=schedule,
                scores=[float(x) for x in scores], steps=rows)


layer = [(768, 768)] * 4 + [(768, 3072), (3072, 768)]
cases = [
    case("two layers of DeBERTa-base", layer * 2, 4, 40_000, 1),
    case("a layer without E", layer, 6, 30_000, 2, e=0),
    case("less than one wide triplet", [(8, 8), (8, 64)], 3, 60, 3),
    case("nothing to prune", [(4, 4)] * 3, 2, 54, 4),
]
json.dump(cases, open(sys.argv[1], "w"), separators=(",", ":"))
